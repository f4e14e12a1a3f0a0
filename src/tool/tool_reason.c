/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_reason.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool_file.h"
#include "tool_obstacle.h"
#include "tool_text.h"
#include "tool_units.h"

/* ---- no place ---- */

static const char *reason_missing(const struct obstacle *obstacle)
{
    const char *error = strerror(ENOENT);
    const char *path = text_escape(obstacle->path);
    if (obstacle->target != NULL)
        return text_format("%s: %s is a symbolic link to %s, which does not "
                           "exist",
                           error, path, text_escape(obstacle->target));
    return obstacle->is_all ? error
                            : text_format("%s: %s does not exist", error, path);
}

static const char *reason_too_long(const char *path)
{
    const char *error = strerror(ENAMETOOLONG);
    size_t all = strlen(path), longest = 0;
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        longest = length > longest ? length : longest;
        path += length;
        path += *path == '/';
    }
    if (all >= PATH_MAX)
        return text_format("%s: a path of %zu bytes, the most is %d", error,
                           all, PATH_MAX - 1);
    if (longest > NAME_MAX)
        return text_format("%s: a name of %zu bytes, the most is %d", error,
                           longest, NAME_MAX);
    return error;
}

static const char *reason_unreachable(const struct place *place)
{
    struct obstacle obstacle;
    const char *error = strerror(place->error);
    obstacle_find(&obstacle, place->path);
    switch (place->error) {
    case ENOENT:
        return reason_missing(&obstacle);
    case ENAMETOOLONG:
        return reason_too_long(place->path);
    case ENOTDIR:
        return text_format("%s: %s is none", error,
                           text_escape(obstacle.before));
    case EACCES:
        if (obstacle.target != NULL)
            return text_format("%s: %s is a symbolic link to %s, which this "
                               "user (uid %u) may not reach",
                               error, text_escape(obstacle.path),
                               text_escape(obstacle.target),
                               (unsigned)geteuid());
        return text_format("%s: this user (uid %u) may not search %s", error,
                           (unsigned)geteuid(), text_escape(obstacle.before));
    default:
        return error;
    }
}

const char *reason_no_place(const struct place *place)
{
    const char *what = "a pipe or a socket";
    if (place->type == PLACE_UNREACHABLE)
        return reason_unreachable(place);
    if (place->type == PLACE_FILE)
        what = "a file";
    else if (place->type == PLACE_BLOCK_DEVICE)
        what = "a block device";
    else if (place->type == PLACE_OTHER_DEVICE)
        what = "a character device, but no device DAX";
    return text_format("%s: it is %s", strerror(ENOTDIR), what);
}

/* ---- no kind ---- */

/* What the kernel shows of itself there, as files that only it makes. */
static bool is_of_kernel(const struct place *place)
{
    static const char *const names[] = {
        "autofs",     "binfmt_misc", "bpf",       "cgroup",   "cgroup2",
        "configfs",   "debugfs",     "devpts",    "efivarfs", "fusectl",
        "mqueue",     "nsfs",        "proc",      "pstore",   "resctrl",
        "rpc_pipefs", "securityfs",  "selinuxfs", "smackfs",  "sysfs",
        "tracefs",    NULL};
    return place_is_on(place, names);
}

static bool may(const struct place *place, int mode)
{
    return faccessat(AT_FDCWD, place->path, mode, AT_EACCESS) == 0;
}

/* With the errno of each way to make a file. */
static const char *reason_no_files(const struct place *place,
                                   const struct file_trial *trial)
{
    const char *name = place->fs_type[0] != '\0' ? text_escape(place->fs_type)
                                                 : "its file system";
    const char *text =
        text_format("%s cannot hold a kind's files (O_TMPFILE: %s", name,
                    strerror(trial->unnamed));
    return trial->named == 0 ? text_format("%s)", text)
                             : text_format("%s; a file with a name: %s)", text,
                                           strerror(trial->named));
}

static const char *reason_permission(const struct place *place, int error)
{
    const char *lacking = may(place, W_OK) ? "search" : "write to";
    if (error != EACCES || may(place, W_OK | X_OK))
        return strerror(error);
    return text_format("%s: this user (uid %u) may not %s it", strerror(error),
                       (unsigned)geteuid(), lacking);
}

/* Explains why no file can be made. Returns false if it finds no reason. */
static bool explain_no_file(struct reason *reason, const struct place *place,
                            const struct file_trial *trial)
{
    bool is_refused = trial->named == ENOENT || trial->named == EACCES ||
                      trial->named == EPERM || trial->named == EINVAL ||
                      trial->named == ENOSYS || trial->named == EOPNOTSUPP;
    int error = trial->named != 0 ? trial->named : trial->unnamed;
    if (is_of_kernel(place) || (is_refused && may(place, W_OK | X_OK))) {
        reason->cause = CAUSE_NO_FILES;
        reason->text = reason_no_files(place, trial);
    } else if (error == EACCES || error == EPERM) {
        reason->cause = CAUSE_PERMISSION;
        reason->text = reason_permission(place, error);
    }
    return reason->text != NULL;
}

/* Whether the directory has no name any more, as a working directory can. */
static bool is_removed(const struct place *place)
{
    static const char mark[] = " (deleted)";
    char target[PATH_MAX];
    int fd = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct stat st;
    ssize_t length = readlink(text_format("/proc/self/fd/%d", fd), target,
                              sizeof target - 1);
    bool has_name = fstat(fd, &st) != 0 || st.st_nlink != 0;
    close(fd);
    if (has_name || length < (ssize_t)strlen(mark))
        return false;
    target[length] = '\0';
    return strcmp(target + length - strlen(mark), mark) == 0;
}

static bool explain_directory(struct reason *reason, const struct place *place)
{
    struct file_trial trial;
    if (is_removed(place)) {
        reason->cause = CAUSE_REMOVED;
        reason->text =
            text_format("%s: the directory has been removed", strerror(ENOENT));
        return true;
    }
    int fd = file_make(&trial, place->path);
    if (fd < 0)
        return explain_no_file(reason, place, &trial);
    close(fd);
    if (reason->error == ENODEV)
        reason->text =
            text_format("files of %s cannot be mapped into memory "
                        "(%s)",
                        text_escape(place->fs_type), strerror(ENODEV));
    else if (place_is_on(place, (const char *const[]){"hugetlbfs", NULL}))
        reason->text = text_format("files of hugetlbfs have pages of %s (%s)",
                                   size_text(place->block_size).text,
                                   strerror(reason->error));
    if (reason->text != NULL)
        reason->cause = CAUSE_NO_FILES;
    return reason->text != NULL;
}

static const char *text_behind(const char *text, const char *start)
{
    const size_t length = strlen(start);
    return strncmp(text, start, length) == 0 ? text + length : text;
}

/* The one place that words why memkind_create_pmem() failed, in the thread that
 * called it, before any other call of the library. The reader knows the
 * function and the path. */
static void reason_no_kind(struct reason *reason, const struct place *place,
                           int status, int error)
{
    const char *text =
        text_behind(memkind_last_error(), "memkind_create_pmem: ");
    text = text_behind(text, text_format("%s: ", place->path));
    *reason = (struct reason){.cause = CAUSE_OTHER, .error = error};
    text = text_escape(text);
    if (status == MEMKIND_ERROR_ENVIRON)
        reason->cause = CAUSE_VARIABLE;
    else if (place->type == PLACE_DIRECTORY && explain_directory(reason, place))
        return;
    reason->text = text;
}

bool reason_make_kind(struct reason *reason, const struct place *place,
                      size_t max_size, memkind_t *kind)
{
    *reason = (struct reason){.text = NULL};
    errno = 0;
    int status = memkind_create_pmem(place->path, max_size, kind);
    if (status == MEMKIND_SUCCESS)
        return true;
    reason_no_kind(reason, place, status, errno);
    return false;
}

/* NULL if there is no memory for it. */
static struct memkind_config *make_config(const char *const *paths,
                                          unsigned count, size_t max_size)
{
    struct memkind_config *config = memkind_config_new();
    if (config == NULL)
        return NULL;
    memkind_config_set_size(config, max_size);
    for (unsigned i = 0; i < count; i++)
        memkind_config_add_path(config, paths[i]);
    return config;
}

const char *reason_make_kind_over(const char *const *paths, unsigned count,
                                  size_t max_size, memkind_t *kind)
{
    const char *text = NULL;
    struct memkind_config *config = make_config(paths, count, max_size);
    if (config == NULL)
        return strerror(ENOMEM);
    if (memkind_create_pmem_with_config(config, kind) != MEMKIND_SUCCESS)
        text = text_escape(text_behind(memkind_last_error(),
                                       "memkind_create_pmem_with_config: "));
    memkind_config_delete(config);
    return text;
}
