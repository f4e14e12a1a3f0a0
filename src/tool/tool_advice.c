/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_advice.h"

#include <errno.h>
#include <memkind.h>
#include <string.h>
#include <unistd.h>

#include "tool_obstacle.h"
#include "tool_reason.h"
#include "tool_text.h"
#include "tool_units.h"

#define BETTER_PLACE                                                           \
    "use a directory on ext4, xfs or tmpfs, whose files have holes that can "  \
    "be punched"

#define add_detail(finding, ...)                                               \
    ((finding)->detail =                                                       \
         text_format("%s%s", (finding)->detail, text_format(__VA_ARGS__)))

#define add_advice(finding, ...)                                               \
    append_advice(finding, text_format(__VA_ARGS__))

static void append_advice(struct finding *finding, const char *text)
{
    if (finding->advice_count < ADVICE_MAX)
        finding->advice[finding->advice_count++] = text;
}

static void explain_unknown(const struct trial *trial, struct finding *f)
{
    if (trial->error == ENOSPC)
        add_detail(f, "not tried: too little space is free");
    else if (trial->error != 0)
        add_detail(f, "%s", strerror(trial->error));
    else
        add_detail(f, "cannot be tried");
}

static bool is_on(const struct probe *probe, const char *name)
{
    return strcmp(probe->place.fs_type, name) == 0;
}

static bool is_directory(const struct probe *probe)
{
    return probe->place.type == PLACE_DIRECTORY;
}

static bool is_device(const struct probe *probe)
{
    return probe->place.type == PLACE_DEVICE_DAX;
}

static const char *known_or(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text : otherwise;
}

/* Words of commands. */
static const char *path_of(const struct probe *probe)
{
    return text_quote(probe->place.path);
}

static const char *source_of(const struct probe *probe)
{
    return probe->place.fs_source[0] != '\0'
               ? text_quote(probe->place.fs_source)
               : "DEVICE";
}

static const char *mount_of(const struct probe *probe)
{
    return probe->place.mount_point[0] != '\0'
               ? text_quote(probe->place.mount_point)
               : "MOUNT-POINT";
}

/* ---- kinds ---- */

static void advise_on_unreachable(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    struct obstacle obstacle;
    obstacle_find(&obstacle, place->path);
    if (place->error == ENOENT && obstacle.target != NULL)
        add_advice(f, "make what the symbolic link leads to, or name another "
                      "directory");
    else if (place->error == ENOENT)
        add_advice(f, "name a directory that is there, or make it: mkdir -p %s",
                   path_of(probe));
    else if (place->error == EACCES)
        add_advice(f, "let this user (uid %u) search the directories above it",
                   (unsigned)geteuid());
    else
        add_advice(f, "name a directory that can be reached");
}

static void advise_on_wrong_type(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    add_detail(f, "%s", reason_no_place(place));
    switch (place->type) {
    case PLACE_UNREACHABLE:
        advise_on_unreachable(probe, f);
        break;
    case PLACE_BLOCK_DEVICE:
        add_advice(f, "name the directory in which its file system is mounted, "
                      "with -o dax if it is persistent memory");
        if (place->device_has_dax)
            add_advice(f,
                       "or make its namespace a device DAX, which loses what "
                       "is on it: ndctl create-namespace -f -e NAMESPACE -m "
                       "devdax");
        break;
    case PLACE_OTHER_DEVICE:
        add_advice(f,
                   "name a device DAX (daxctl list shows them: /dev/daxX.Y) or "
                   "a directory");
        break;
    default:
        add_advice(f,
                   "name a directory: a kind makes unnamed files of its own in "
                   "it");
        break;
    }
}

static void advise_on_space(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    if (limits->fits == limits->quota)
        add_advice(f, "have the quota raised");
    else if (limits->fits == limits->address_space)
        add_advice(f,
                   "let the process have more addresses: ulimit -v unlimited");
    else if (limits->fits == limits->memory)
        add_advice(f, "free some memory: files of %s lie in it",
                   probe->place.fs_type);
    else if (is_on(probe, "tmpfs"))
        add_advice(f,
                   "free some space, or have more: mount -o remount,size=SIZE "
                   "%s",
                   mount_of(probe));
    else
        add_advice(f, "free some space, or use another file system");
}

static void advise_on_permission(const struct probe *probe, struct finding *f)
{
    const char *what = is_device(probe) ? "reading and writing" : "writing";
    add_advice(f,
               "permit %s to this user (uid %u): chmod, chown or setfacl on %s",
               what, (unsigned)geteuid(), path_of(probe));
}

static void advise_on_error(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    switch (probe->reason.cause) {
    case CAUSE_REMOVED:
        add_advice(f, "name a directory that is there");
        return;
    case CAUSE_NO_FILES:
        add_advice(f, BETTER_PLACE);
        return;
    case CAUSE_VARIABLE:
        add_advice(f, "unset it, or give it a value from the section "
                      "ENVIRONMENT of memkind(3)");
        return;
    case CAUSE_PERMISSION:
        advise_on_permission(probe, f);
        return;
    case CAUSE_OTHER:
        break;
    }
    switch (probe->kind.error) {
    case EACCES:
    case EPERM:
        advise_on_permission(probe, f);
        break;
    case EROFS:
        add_advice(f, "mount it for writing: mount -o remount,rw %s",
                   mount_of(probe));
        break;
    case EBUSY:
        add_advice(f,
                   "end the process that has it (fuser %s shows it), or use "
                   "another device: one kind at a time can have one",
                   path_of(probe));
        break;
    case EFBIG:
        add_advice(f, "let files be larger: ulimit -f unlimited");
        break;
    case ENOSPC:
    case EDQUOT:
        add_advice(f, "free some space, or use another file system");
        break;
    case EMFILE:
    case ENFILE:
        add_advice(f, "let more files be open: ulimit -n");
        break;
    case ENOMEM:
        if (limits->address_space != NO_LIMIT)
            add_advice(f, "let the process have more addresses: ulimit -v "
                          "unlimited");
        else if (limits->known && limits->fits < MEMKIND_PMEM_MIN_SIZE)
            advise_on_space(probe, f);
        else
            add_advice(f, "free some memory or file space");
        break;
    default:
        add_advice(f, "%s",
                   is_device(probe) ? "look at it with daxctl list -D"
                                    : BETTER_PLACE);
        break;
    }
}

static void answer_kind(const struct probe *probe, struct finding *f)
{
    f->answer = probe->kind.answer;
    if (!is_directory(probe) && !is_device(probe)) {
        f->matters = true;
        advise_on_wrong_type(probe, f);
        return;
    }
    if (f->answer == ANSWER_YES) {
        if (is_device(probe))
            add_detail(f, "one was made; nothing was written to the device");
        else if (probe->touched != 0)
            add_detail(f, "one was made, with %s in it",
                       size_text(probe->touched).text);
        else
            add_detail(f, "one was made, with a small object in it");
        return;
    }
    if (f->answer == ANSWER_UNKNOWN) {
        add_detail(f, "not tried: it would take too much of the free space");
        return;
    }
    f->matters = true;
    if (probe->reason.text != NULL)
        add_detail(f, "%s", probe->reason.text);
    else
        add_detail(f, "one was made, but it could not hold anything: %s",
                   strerror(probe->kind.error));
    advise_on_error(probe, f);
}

/* ---- DAX ---- */

static void advise_on_mount(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    bool wrong_blocks =
        place->block_size != 0 && place->block_size != page_size();
    if (!is_on(probe, "ext4") && !is_on(probe, "xfs")) {
        add_advice(f, "make it ext4 or xfs, which loses what is on it");
    } else if (wrong_blocks) {
        add_advice(f,
                   "DAX needs blocks of %s, these are of %s; making it anew "
                   "loses what is on it: %s %s",
                   size_text(page_size()).text,
                   size_text(place->block_size).text,
                   is_on(probe, "ext4") ? "mkfs.ext4 -b 4096"
                                        : "mkfs.xfs -b size=4096",
                   source_of(probe));
    }
    add_advice(f, "mount it with DAX: umount %s; mount -o dax %s %s",
               mount_of(probe), source_of(probe), mount_of(probe));
    if (is_on(probe, "xfs"))
        add_advice(f, "if the kernel refuses that, the file system was made "
                      "with reflinks: mkfs.xfs -m reflink=0 (loses what is on "
                      "it)");
}

/* Looks at the mount options; attributes of single files are not known. */
static bool is_mounted_with_dax(const struct place *place)
{
    return place_has_option(place, "dax") ||
           place_has_option(place, "dax=always");
}

static void answer_dax(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    f->answer = probe->dax.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->dax, f);
    if (f->answer != ANSWER_NO)
        return;
    if (is_device(probe)) {
        f->matters = true;
        add_detail(f, "libpmem does not take it for persistent memory");
        add_advice(f, "look at it with daxctl list -D; unset "
                      "PMEM_IS_PMEM_FORCE");
    } else if (place_is_memory(place)) {
        add_detail(f, "%s: its files lie in the machine's memory",
                   place->fs_type);
    } else if (place->device_has_dax && is_mounted_with_dax(place)) {
        f->matters = true;
        add_detail(f,
                   "%s is mounted with DAX, but libpmem does not take it for "
                   "persistent memory (PMEM_IS_PMEM_FORCE=0, or no MAP_SYNC)",
                   source_of(probe));
        add_advice(f, "unset PMEM_IS_PMEM_FORCE, or use a kernel of 4.15 or "
                      "later");
    } else if (place->device_has_dax) {
        /* A program would not use the persistent memory that it has. */
        f->matters = true;
        add_detail(f, "%s is persistent memory, but mounted without DAX",
                   source_of(probe));
        advise_on_mount(probe, f);
    } else {
        add_detail(f, "%s, in the page cache%s",
                   known_or(text_escape(place->fs_type), "files"),
                   place->device_known ? ": the device under it has no DAX"
                                       : "");
        add_advice(f,
                   "for persistent memory: a namespace (ndctl create-namespace "
                   "-m fsdax), ext4 or xfs on it, mounted with -o dax");
    }
}

/* ---- holes ---- */

static void answer_holes(const struct probe *probe, struct finding *f)
{
    f->answer = probe->holes.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->holes, f);
    if (f->answer != ANSWER_NO)
        return;
    f->matters = true;
    add_detail(f, "a kind takes its whole limit at once, and keeps it");
    add_advice(f, BETTER_PLACE);
}

static void answer_fallocate(const struct probe *probe, struct finding *f)
{
    f->answer = probe->fallocate.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->fallocate, f);
    if (f->answer != ANSWER_NO)
        return;
    add_detail(f, "space is taken by writing zeroes, which is slower");
    add_advice(f, "use a file system with fallocate(2): ext4, xfs, tmpfs");
}

static void answer_punch(const struct probe *probe, struct finding *f)
{
    f->answer = probe->punch.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->punch, f);
    if (f->answer != ANSWER_NO)
        return;
    if (is_device(probe)) {
        add_detail(f,
                   "a device has no holes: freed memory stays with the kind, "
                   "which has the device for itself");
        return;
    }
    f->matters = true;
    add_detail(f, "freed space stays with a kind until it is destroyed");
    add_advice(f, BETTER_PLACE);
}

/* ---- 2 MiB mappings ---- */

static void advise_on_alignment(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    if (place->partition_start % LARGE_PAGE != 0)
        add_advice(f,
                   "%s starts at %s, which is no multiple of 2 MiB: use the "
                   "whole device, or a partition that starts at one",
                   source_of(probe), size_text(place->partition_start).text);
    add_advice(f, "its free space is in pieces, few of them of 2 MiB: make "
                  "room, or use an emptier file system");
    if (is_on(probe, "xfs"))
        add_advice(f,
                   "a stripe of 2 MiB keeps pieces whole; making it anew loses "
                   "what is on it: mkfs.xfs -m reflink=0 -d su=2m,sw=1 %s",
                   source_of(probe));
    else if (place->partition_start % LARGE_PAGE == 0)
        add_advice(f,
                   "or what is under it does not start at a multiple of 2 MiB: "
                   "a namespace (ndctl list -N -v), a logical volume (pvs -o "
                   "+pe_start)");
}

static void advise_on_pages(const struct probe *probe, struct finding *f)
{
    if (is_device(probe)) {
        f->matters = true;
        add_advice(f,
                   "make its namespace anew with pages of 2 MiB, which loses "
                   "what is on it: ndctl create-namespace -f -e NAMESPACE -m "
                   "devdax -a 2M");
    } else if (probe->dax.answer == ANSWER_YES) {
        /* 4 KiB mappings cost a kind most of its speed there. */
        f->matters = true;
        advise_on_alignment(probe, f);
    } else if (is_on(probe, "tmpfs") && probe->limits.known &&
               probe->limits.fits < HUGE_PAGES_LEAST) {
        add_detail(f, "; a kind has them from 256 MiB on");
    } else if (is_on(probe, "tmpfs")) {
        add_advice(f,
                   "let tmpfs use large pages, for kinds of 256 MiB and more: "
                   "mount -o remount,huge=advise %s "
                   "(/sys/kernel/mm/transparent_hugepage/shmem_enabled must "
                   "not be \"deny\")",
                   mount_of(probe));
    } else if (is_directory(probe)) {
        add_detail(f, "; without DAX, only tmpfs has them");
    }
}

static void answer_mappings(const struct probe *probe, struct finding *f)
{
    f->answer = probe->large.answer;
    if (probe->touched == 0) {
        if (f->answer == ANSWER_UNKNOWN)
            explain_unknown(&probe->large, f);
        return;
    }
    uint64_t units = probe->touched / LARGE_PAGE;
    add_detail(f, "%llu of %llu: touching %s takes %llu page faults",
               (unsigned long long)probe_large_units(probe),
               (unsigned long long)units, size_text(probe->touched).text,
               (unsigned long long)probe->faults);
    if (probe->kinds > 1)
        add_detail(f,
                   "; that is the middle one of %u kinds, the worst has %llu",
                   probe->kinds, (unsigned long long)probe_least_units(probe));
    if (f->answer == ANSWER_NO)
        advise_on_pages(probe, f);
}

/* ---- nodes ---- */

static const char *who_decides(const struct nodes *nodes)
{
    if (nodes->source == NODES_DEVICE)
        return "the place of its device";
    return text_format(nodes->source == NODES_MOUNT
                           ? "the mount's mpol=%s"
                           : "the policy of the process: %s",
                       nodes->policy);
}

static void answer_nodes(const struct probe *probe, struct finding *f)
{
    const struct nodes *nodes = &probe->nodes;
    const unsigned without = nodes_count(nodes, NODES_WITHOUT_CPUS);
    f->answer = ANSWER_UNKNOWN;
    if (nodes->count == 0) {
        add_detail(f, "the system does not say on which the memory lies");
        return;
    }
    add_detail(f, "%s (%s)", nodes_text(nodes, NODES_ALL), who_decides(nodes));
    if (without != 0) {
        f->answer = ANSWER_NO;
        if (without == nodes->count)
            add_detail(f, ": memory without CPUs of its own, as on CXL");
        else
            add_detail(f, "; no CPUs: %s",
                       nodes_text(nodes, NODES_WITHOUT_CPUS));
    } else if (nodes_count(nodes, NODES_WITH_CPUS) == nodes->count) {
        f->answer = ANSWER_YES;
        if (nodes->count == 1)
            add_detail(f, ": CPUs %s", nodes->list[0].cpus);
    }
}

/* ---- space and limits ---- */

static void answer_space(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    if (!limits->known) {
        add_detail(f, "it is not known how much there is");
        f->answer = ANSWER_UNKNOWN;
        return;
    }
    add_detail(f, "%s fit", size_text(limits->fits).text);
    add_detail(f, " (%s free of %s", size_text(limits->available).text,
               size_text(limits->total).text);
    if (limits->memory < limits->available)
        add_detail(f, ", %s of free memory", size_text(limits->memory).text);
    add_detail(f, ")");
    f->answer = ANSWER_YES;
    if (limits->fits >= MEMKIND_PMEM_MIN_SIZE)
        return;
    f->answer = ANSWER_NO;
    f->matters = true;
    add_detail(f, "; the least limit of a kind is %s",
               size_text(MEMKIND_PMEM_MIN_SIZE).text);
    advise_on_space(probe, f);
}

static void explain_limit(struct finding *f, const char *name, uint64_t limit)
{
    if (limit == NO_LIMIT)
        return;
    add_detail(f, "%s%s %s", f->detail[0] != '\0' ? ", " : "", name,
               size_text(limit).text);
    f->answer = ANSWER_NO;
}

static void answer_limits(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    f->answer = ANSWER_YES;
    explain_limit(f, "RLIMIT_AS leaves", limits->address_space);
    explain_limit(f, "RLIMIT_FSIZE is", limits->file_size);
    explain_limit(f, "the quota leaves", limits->quota);
    if (probe->largest_file != 0)
        add_detail(f, "%sa file may have %s", f->detail[0] != '\0' ? ", " : "",
                   size_text(probe->largest_file).text);
    if (limits->address_space != NO_LIMIT)
        add_advice(f, "ulimit -v unlimited: an unlimited kind likes to have 64 "
                      "GiB of addresses");
    if (limits->file_size != NO_LIMIT && !is_device(probe))
        add_advice(f,
                   "ulimit -f unlimited: a kind's files are sparse and large");
}

void advice_on(const struct probe *probe, struct finding list[FINDING_COUNT])
{
    static const struct {
        const char *id, *title;
        void (*answer)(const struct probe *probe, struct finding *finding);
    } questions[FINDING_COUNT] = {
        [FINDING_KIND] = {"kind", "kinds can be made", answer_kind},
        [FINDING_DAX] = {"dax", "DAX", answer_dax},
        [FINDING_HOLES] = {"holes", "files have holes", answer_holes},
        [FINDING_FALLOCATE] = {"fallocate", "fallocate works",
                               answer_fallocate},
        [FINDING_PUNCH] = {"punch", "holes can be punched", answer_punch},
        [FINDING_LARGE] = {"mappings", "2 MiB mappings", answer_mappings},
        [FINDING_NODES] = {"nodes", "nodes have CPUs", answer_nodes},
        [FINDING_SPACE] = {"space", "space for a kind", answer_space},
        [FINDING_LIMITS] = {"limits", "no limits in the way", answer_limits},
    };
    bool usable = is_directory(probe) || is_device(probe);
    for (int i = 0; i < FINDING_COUNT; i++) {
        list[i] = (struct finding){
            .id = questions[i].id, .title = questions[i].title, .detail = ""};
        if (usable || i == FINDING_KIND)
            questions[i].answer(probe, &list[i]);
    }
}

int advice_count_bad(const struct finding list[FINDING_COUNT])
{
    int count = 0;
    for (int i = 0; i < FINDING_COUNT; i++)
        count += list[i].answer == ANSWER_NO && list[i].matters;
    return count;
}
