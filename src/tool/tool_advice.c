/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_advice.h"

#include <errno.h>
#include <memkind.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool_units.h"

#define BETTER_PLACE                                                           \
    "use a directory on ext4, xfs or tmpfs, whose files have holes that can "  \
    "be punched"

static void explain(struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void advise(struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds to what has been said. */
static void explain(struct finding *finding, const char *format, ...)
{
    size_t length = strlen(finding->detail);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->detail + length, sizeof finding->detail - length, format,
              arguments);
    va_end(arguments);
}

static void advise(struct finding *finding, const char *format, ...)
{
    if (finding->advice_count == ADVICE_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->advice[finding->advice_count++],
              sizeof finding->advice[0], format, arguments);
    va_end(arguments);
}

static void explain_unknown(const struct trial *trial, struct finding *f)
{
    if (trial->error == ENOSPC)
        explain(f, "not tried: too little space is free");
    else if (trial->error != 0)
        explain(f, "%s", strerror(trial->error));
    else
        explain(f, "cannot be tried");
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

static const char *or_else(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text : otherwise;
}

/* How the file system is named in commands. */
static const char *source_of(const struct probe *probe)
{
    return or_else(probe->place.fs_source, "DEVICE");
}

static const char *mount_of(const struct probe *probe)
{
    return or_else(probe->place.mount_point, "MOUNT-POINT");
}

/* ---- kinds ----------------------------------------------------------------
 */

static void advise_on_wrong_type(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    switch (place->type) {
    case PLACE_UNREACHABLE:
        explain(f, "%s", strerror(place->error));
        if (place->error == ENOENT)
            advise(f,
                   "name a directory that is there, or make it: mkdir -p "
                   "%s",
                   place->path);
        else if (place->error == EACCES)
            advise(f, "let this user (uid %u) search the directories above it",
                   (unsigned)geteuid());
        else
            advise(f, "name a directory that can be reached");
        break;
    case PLACE_BLOCK_DEVICE:
        explain(f, "it is a block device");
        advise(f, "name the directory in which its file system is mounted, "
                  "with -o dax where it is persistent memory");
        if (place->device_has_dax)
            advise(f, "or make its namespace a device DAX, which loses what "
                      "is on it: ndctl create-namespace -f -e NAMESPACE -m "
                      "devdax");
        break;
    case PLACE_OTHER_DEVICE:
        explain(f, "it is a device, but no device DAX");
        advise(f, "name a device DAX (daxctl list shows them: /dev/daxX.Y) or "
                  "a directory");
        break;
    default:
        explain(f, place->type == PLACE_FILE ? "it is a file"
                                             : "it is no directory");
        advise(f, "name a directory: a kind makes unnamed files of its own in "
                  "it");
        break;
    }
}

static void advise_on_space(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    if (limits->fits == limits->quota)
        advise(f, "have the quota raised");
    else if (limits->fits == limits->address_space)
        advise(f, "let the process have more addresses: ulimit -v unlimited");
    else if (limits->fits == limits->memory)
        advise(f, "free some memory: files of %s lie in it",
               probe->place.fs_type);
    else if (is_on(probe, "tmpfs"))
        advise(f,
               "free some space, or have more: mount -o remount,size=SIZE "
               "%s",
               mount_of(probe));
    else
        advise(f, "free some space, or use another file system");
}

static void advise_on_permission(const struct probe *probe, struct finding *f)
{
    const char *what = is_device(probe) ? "reading and writing" : "writing";
    advise(f, "permit %s to this user (uid %u): chmod, chown or setfacl on %s",
           what, (unsigned)geteuid(), probe->place.path);
}

static void advise_on_error(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    switch (probe->kind.error) {
    case EACCES:
    case EPERM:
        advise_on_permission(probe, f);
        break;
    case EROFS:
        advise(f, "mount it for writing: mount -o remount,rw %s",
               mount_of(probe));
        break;
    case EBUSY:
        advise(f,
               "end the process that has it (fuser %s shows it), or use "
               "another device: one kind at a time can have one",
               probe->place.path);
        break;
    case EFBIG:
        advise(f, "let files be larger: ulimit -f unlimited");
        break;
    case ENOSPC:
    case EDQUOT:
        advise(f, "free some space, or use another file system");
        break;
    case EMFILE:
    case ENFILE:
        advise(f, "let more files be open: ulimit -n");
        break;
    case ENOMEM:
        if (limits->address_space != NO_LIMIT)
            advise(f, "let the process have more addresses: ulimit -v "
                      "unlimited");
        else if (limits->known && limits->fits < MEMKIND_PMEM_MIN_SIZE)
            advise_on_space(probe, f);
        else
            advise(f, "free some memory or file space");
        break;
    default:
        advise(f, "%s",
               is_device(probe) ? "look at it with daxctl list -D"
                                : BETTER_PLACE);
        break;
    }
}

static void find_kind(const struct probe *probe, struct finding *f)
{
    char message[MEMKIND_ERROR_MESSAGE_SIZE] = "";
    f->answer = probe->kind.answer;
    if (!is_directory(probe) && !is_device(probe)) {
        f->matters = true;
        advise_on_wrong_type(probe, f);
        return;
    }
    if (f->answer == ANSWER_YES) {
        if (is_device(probe))
            explain(f, "one was made; nothing was written to the device");
        else if (probe->touched != 0)
            explain(f, "one was made, with %s in it",
                    size_text(probe->touched).text);
        else
            explain(f, "one was made, with a small object in it");
        return;
    }
    if (f->answer == ANSWER_UNKNOWN) {
        explain(f, "not tried: it would take too much of the free space");
        return;
    }
    f->matters = true;
    if (probe->kind_status != MEMKIND_SUCCESS) {
        memkind_error_message(probe->kind_status, message, sizeof message);
        explain(f, "%s (%s)", strerror(probe->kind.error), message);
    } else {
        explain(f, "one was made, but it could not hold anything: %s",
                strerror(probe->kind.error));
    }
    advise_on_error(probe, f);
}

/* ---- DAX ------------------------------------------------------------------
 */

static void advise_on_mount(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    bool wrong_blocks =
        place->block_size != 0 && place->block_size != page_size();
    if (!is_on(probe, "ext4") && !is_on(probe, "xfs")) {
        advise(f, "make it ext4 or xfs, which loses what is on it");
    } else if (wrong_blocks) {
        advise(f,
               "DAX needs blocks of %s, these are of %s; making it anew "
               "loses what is on it: %s %s",
               size_text(page_size()).text, size_text(place->block_size).text,
               is_on(probe, "ext4") ? "mkfs.ext4 -b 4096"
                                    : "mkfs.xfs -b size=4096",
               source_of(probe));
    }
    advise(f, "mount it with DAX: umount %s; mount -o dax %s %s",
           mount_of(probe), source_of(probe), mount_of(probe));
    if (is_on(probe, "xfs"))
        advise(f, "where the kernel refuses that, the file system was made "
                  "with reflinks: mkfs.xfs -m reflink=0 (loses what is on "
                  "it)");
}

/* By its options; files with an attribute of their own are not known. */
static bool is_mounted_with_dax(const struct place *place)
{
    const char *option = place->mount_options;
    for (; option[0] != '\0'; option += strspn(option, ",")) {
        size_t length = strcspn(option, ",");
        if ((length == 3 && strncmp(option, "dax", 3) == 0) ||
            (length == 10 && strncmp(option, "dax=always", 10) == 0))
            return true;
        option += length;
    }
    return false;
}

static void find_dax(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    f->answer = probe->dax.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->dax, f);
    if (f->answer != ANSWER_NO)
        return;
    if (is_device(probe)) {
        f->matters = true;
        explain(f, "libpmem does not take it for persistent memory");
        advise(f, "look at it with daxctl list -D; unset "
                  "PMEM_IS_PMEM_FORCE");
    } else if (place_is_memory(place)) {
        explain(f, "%s: its files lie in the machine's memory", place->fs_type);
    } else if (place->device_has_dax && is_mounted_with_dax(place)) {
        f->matters = true;
        explain(f,
                "%s is mounted with DAX, but libpmem does not take it for "
                "persistent memory (PMEM_IS_PMEM_FORCE=0, or no MAP_SYNC)",
                source_of(probe));
        advise(f, "unset PMEM_IS_PMEM_FORCE, or use a kernel of 4.15 or "
                  "later");
    } else if (place->device_has_dax) {
        /* What was paid for is not used. */
        f->matters = true;
        explain(f, "%s is persistent memory, but mounted without DAX",
                source_of(probe));
        advise_on_mount(probe, f);
    } else {
        explain(f, "%s, in the page cache%s", or_else(place->fs_type, "files"),
                place->device_known ? ": the device under it has no DAX" : "");
        advise(f, "for persistent memory: a namespace (ndctl create-namespace "
                  "-m fsdax), ext4 or xfs on it, mounted with -o dax");
    }
}

/* ---- holes ----------------------------------------------------------------
 */

static void find_holes(const struct probe *probe, struct finding *f)
{
    f->answer = probe->holes.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->holes, f);
    if (f->answer != ANSWER_NO)
        return;
    f->matters = true;
    explain(f, "a kind takes its whole limit at once, and keeps it");
    advise(f, BETTER_PLACE);
}

static void find_fallocate(const struct probe *probe, struct finding *f)
{
    f->answer = probe->fallocate.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->fallocate, f);
    if (f->answer != ANSWER_NO)
        return;
    explain(f, "space is taken by writing zeroes, which is slower");
    advise(f, "use a file system with fallocate(2): ext4, xfs, tmpfs");
}

static void find_punch(const struct probe *probe, struct finding *f)
{
    f->answer = probe->punch.answer;
    if (f->answer == ANSWER_UNKNOWN)
        explain_unknown(&probe->punch, f);
    if (f->answer != ANSWER_NO)
        return;
    if (is_device(probe)) {
        explain(f, "a device has no holes: freed memory stays with the kind, "
                   "which has the device for itself");
        return;
    }
    f->matters = true;
    explain(f, "freed space stays with a kind until it is destroyed");
    advise(f, BETTER_PLACE);
}

/* ---- 2 MiB mappings -------------------------------------------------------
 */

static void advise_on_alignment(const struct probe *probe, struct finding *f)
{
    const struct place *place = &probe->place;
    if (place->partition_start % LARGE_PAGE != 0)
        advise(f,
               "%s starts at %s, which is no multiple of 2 MiB: use the "
               "whole device, or a partition that starts at one",
               source_of(probe), size_text(place->partition_start).text);
    advise(f, "its free space is in pieces, of which few hold 2 MiB: make "
              "room, or use an emptier file system");
    if (is_on(probe, "xfs"))
        advise(f,
               "a stripe of 2 MiB keeps pieces whole; making it anew loses "
               "what is on it: mkfs.xfs -m reflink=0 -d su=2m,sw=1 %s",
               source_of(probe));
    else if (place->partition_start % LARGE_PAGE == 0)
        advise(f, "or what is under it does not start at a multiple of 2 MiB: "
                  "a namespace (ndctl list -N -v), a logical volume (pvs -o "
                  "+pe_start)");
}

static void advise_on_pages(const struct probe *probe, struct finding *f)
{
    if (is_device(probe)) {
        f->matters = true;
        advise(f, "make its namespace anew with pages of 2 MiB, which loses "
                  "what is on it: ndctl create-namespace -f -e NAMESPACE -m "
                  "devdax -a 2M");
    } else if (probe->dax.answer == ANSWER_YES) {
        /* 4 KiB mappings cost a kind most of its speed there. */
        f->matters = true;
        advise_on_alignment(probe, f);
    } else if (is_on(probe, "tmpfs")) {
        advise(f,
               "let tmpfs use large pages: mount -o remount,huge=always %s "
               "(/sys/kernel/mm/transparent_hugepage/shmem_enabled must "
               "not be \"deny\")",
               mount_of(probe));
    } else if (is_directory(probe)) {
        explain(f, "; without DAX, only tmpfs has them");
    }
}

static void find_large(const struct probe *probe, struct finding *f)
{
    f->answer = probe->large.answer;
    if (probe->touched == 0) {
        if (f->answer == ANSWER_UNKNOWN)
            explain_unknown(&probe->large, f);
        return;
    }
    uint64_t units = probe->touched / LARGE_PAGE;
    explain(f, "%llu of %llu: touching %s takes %llu page faults",
            (unsigned long long)probe_large_units(probe),
            (unsigned long long)units, size_text(probe->touched).text,
            (unsigned long long)probe->faults);
    if (probe->kinds > 1)
        explain(f, "; that is the middle one of %u kinds, the worst has %llu",
                probe->kinds, (unsigned long long)probe_least_units(probe));
    if (f->answer == ANSWER_NO)
        advise_on_pages(probe, f);
}

/* ---- space and limits -----------------------------------------------------
 */

static void find_space(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    if (!limits->known) {
        explain(f, "nothing tells how much there is");
        f->answer = ANSWER_UNKNOWN;
        return;
    }
    explain(f, "%s fit", size_text(limits->fits).text);
    explain(f, " (%s free of %s", size_text(limits->available).text,
            size_text(limits->total).text);
    if (limits->memory < limits->available)
        explain(f, ", %s of free memory", size_text(limits->memory).text);
    explain(f, ")");
    f->answer = ANSWER_YES;
    if (limits->fits >= MEMKIND_PMEM_MIN_SIZE)
        return;
    f->answer = ANSWER_NO;
    f->matters = true;
    explain(f, "; the least limit of a kind is %s",
            size_text(MEMKIND_PMEM_MIN_SIZE).text);
    advise_on_space(probe, f);
}

static void explain_limit(struct finding *f, const char *name, uint64_t limit)
{
    if (limit == NO_LIMIT)
        return;
    explain(f, "%s%s %s", f->detail[0] != '\0' ? ", " : "", name,
            size_text(limit).text);
    f->answer = ANSWER_NO;
}

static void find_limits(const struct probe *probe, struct finding *f)
{
    const struct limits *limits = &probe->limits;
    f->answer = ANSWER_YES;
    explain_limit(f, "RLIMIT_AS leaves", limits->address_space);
    explain_limit(f, "RLIMIT_FSIZE is", limits->file_size);
    explain_limit(f, "the quota leaves", limits->quota);
    if (probe->largest_file != 0)
        explain(f, "%sa file may have %s", f->detail[0] != '\0' ? ", " : "",
                size_text(probe->largest_file).text);
    if (limits->address_space != NO_LIMIT)
        advise(f, "ulimit -v unlimited: an unlimited kind likes to have 64 "
                  "GiB of addresses");
    if (limits->file_size != NO_LIMIT && !is_device(probe))
        advise(f, "ulimit -f unlimited: a kind's files are sparse and large");
}

void advice_on(const struct probe *probe, struct finding list[FINDING_COUNT])
{
    static const struct {
        const char *id, *title;
        void (*find)(const struct probe *probe, struct finding *finding);
    } questions[FINDING_COUNT] = {
        [FINDING_KIND] = {"kind", "kinds can be made", find_kind},
        [FINDING_DAX] = {"dax", "DAX", find_dax},
        [FINDING_HOLES] = {"holes", "files have holes", find_holes},
        [FINDING_FALLOCATE] = {"fallocate", "fallocate works", find_fallocate},
        [FINDING_PUNCH] = {"punch", "holes can be punched", find_punch},
        [FINDING_LARGE] = {"mappings", "2 MiB mappings", find_large},
        [FINDING_SPACE] = {"space", "space for a kind", find_space},
        [FINDING_LIMITS] = {"limits", "no limits in the way", find_limits},
    };
    bool usable = is_directory(probe) || is_device(probe);
    for (int i = 0; i < FINDING_COUNT; i++) {
        list[i] = (struct finding){.id = questions[i].id,
                                   .title = questions[i].title};
        if (usable || i == FINDING_KIND)
            questions[i].find(probe, &list[i]);
    }
}

int advice_count_bad(const struct finding list[FINDING_COUNT])
{
    int count = 0;
    for (int i = 0; i < FINDING_COUNT; i++)
        count += list[i].answer == ANSWER_NO && list[i].matters;
    return count;
}
