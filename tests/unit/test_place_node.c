/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "layer_test.h"
#include "place_node.h"
#include "sys_calls.h"

static struct sys_calls real;

/* ---- a system that is not there ---------------------------------------- */

static unsigned long type;
static dev_t device;
static mode_t mode;
static int stat_error, mounts_error;
static const char *mounts;                /* what mountinfo says */
static const char *node_path, *node_text; /* a file below /sys */

static int fake_fstatfs(int file, struct statfs *fs)
{
    (void)file;
    memset(fs, 0, sizeof *fs);
    fs->f_type = (__typeof__(fs->f_type))type;
    return 0;
}

static int fake_fstat(int file, struct stat *st)
{
    (void)file;
    memset(st, 0, sizeof *st);
    st->st_dev = st->st_rdev = device;
    st->st_mode = mode;
    errno = stat_error;
    return stat_error == 0 ? 0 : -1;
}

static int file_of(const char *text)
{
    const size_t length = strlen(text);
    int fd = memfd_create("text", MFD_CLOEXEC);
    REQUIRE_GE(fd, 0);
    REQUIRE_EQ(write(fd, text, length), (ssize_t)length);
    return fd;
}

static int fake_open(const char *path, int flags, mode_t unused)
{
    (void)flags, (void)unused;
    if (strcmp(path, "/proc/self/mountinfo") == 0 && mounts_error == 0)
        return file_of(mounts);
    if (node_path != NULL && strcmp(path, node_path) == 0)
        return file_of(node_text);
    errno = ENOENT;
    return -1;
}

static void begin(void)
{
    real = sys;
    type = TMPFS_MAGIC;
    device = makedev(0, 31);
    mode = S_IFDIR | 0755;
    stat_error = mounts_error = 0;
    mounts = "";
    node_path = node_text = NULL;
    sys.fstat = fake_fstat;
    sys.fstatfs = fake_fstatfs;
    sys.open = fake_open;
}

static void end(void)
{
    sys = real;
}

/* ---- tmpfs --------------------------------------------------------------- */

#define LINE(DEVICE, OPTIONS)                                                  \
    "36 35 " DEVICE " / /mnt/a\\040b rw,noatime shared:1 - tmpfs none "        \
    "rw,size=1024k" OPTIONS "\n"

static void test_a_tmpfs_is_bound(void)
{
    begin();
    static const struct {
        const char *option, *policy;
        int node;
    } cases[] = {
        {LINE("0:31", ",mpol=bind:2"), "bind:2", 2},
        {LINE("0:31", ",mpol=bind:2,inode64"), "bind:2", 2},
        {LINE("0:31", ",mpol=prefer:13"), "prefer:13", 13},
        {LINE("0:31", ",mpol=bind=static:1"), "bind=static:1", 1},
        {LINE("0:31", ",mpol=bind:0,2"), "bind:0,2", -1},
        {LINE("0:31", ",mpol=bind:0,2,inode64"), "bind:0,2", -1},
        {LINE("0:31", ",mpol=interleave:0-3"), "interleave:0-3", -1},
        {LINE("0:31", ",mpol=local"), "local", -1},
        {LINE("0:31", ",mpol=bind:"), "bind:", -1},
        {LINE("0:31", ",mpol=bind:99999999999"), "bind:99999999999", -1},
        {LINE("0:31", ""), "", -1},
    };
    char policy[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mounts = cases[i].option;
        CHECK(place_policy(0, policy, sizeof policy));
        CHECK_STR(policy, cases[i].policy);
        CHECK_EQ(place_node(0), cases[i].node);
    }
    end();
}

static void test_the_line_is_that_of_the_device(void)
{
    begin();
    char policy[64], text[4096];
    mounts = LINE("0:3", ",mpol=bind:1") LINE("0:310", ",mpol=bind:3")
        LINE("0:31", ",mpol=bind:2") LINE("0:32", ",mpol=bind:4");
    CHECK_EQ(place_node(0), 2);
    /* Lines and fields may be longer than what is read at once. */
    char *long_path = malloc(3000);
    REQUIRE_NOT_NULL(long_path);
    memset(long_path, 'x', 2999);
    long_path[2999] = '\0';
    snprintf(text, sizeof text,
             "35 1 0:30 / /%s rw - tmpfs 0:31 rw,mpol=bind:1"
             "\n%s",
             long_path, mounts);
    free(long_path);
    mounts = text;
    CHECK_EQ(place_node(0), 2);
    mounts = LINE("0:3", ",mpol=bind:1");
    CHECK(!place_policy(0, policy, sizeof policy));
    CHECK_STR(policy, "");
    CHECK_EQ(place_node(0), -1);
    /* Without an end. */
    mounts = "36 35 0:31 / /mnt rw - tmpfs none rw,mpol=bind:1";
    CHECK_EQ(place_node(0), -1);
    end();
}

static void test_what_does_not_fit_is_cut(void)
{
    begin();
    char policy[8];
    mounts = LINE("0:31", ",mpol=bind:1,3,5,7,9");
    CHECK(place_policy(0, policy, sizeof policy));
    CHECK_STR(policy, "bind:1,");
    end();
}

static void test_without_proc_nothing_is_known(void)
{
    begin();
    char policy[64];
    mounts_error = 1;
    CHECK(!place_policy(0, policy, sizeof policy));
    CHECK_EQ(place_node(0), -1);
    stat_error = EBADF;
    CHECK(!place_policy(0, policy, sizeof policy));
    CHECK_EQ(place_node(0), -1);
    end();
}

/* ---- devices ------------------------------------------------------------- */

static void test_a_device_has_a_node(void)
{
    begin();
    static const struct {
        const char *path, *text;
        int node;
    } cases[] = {
        {"/sys/dev/block/259:3/device/numa_node", "1\n", 1},
        {"/sys/dev/block/259:3/../device/numa_node", "3\n", 3},
        {"/sys/dev/block/259:3/numa_node", "0\n", 0},
        {"/sys/dev/block/259:3/device/numa_node", "-1\n", -1},
        {"/sys/dev/block/259:3/device/numa_node", "", -1},
        {"/sys/dev/block/259:30/device/numa_node", "1\n", -1},
    };
    char policy[64];
    type = EXT4_SUPER_MAGIC;
    device = makedev(259, 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        node_path = cases[i].path;
        node_text = cases[i].text;
        CHECK_EQ(place_node(0), cases[i].node);
    }
    CHECK(place_policy(0, policy, sizeof policy));
    CHECK_STR(policy, "");
    end();
}

static void test_a_device_dax_has_a_node(void)
{
    begin();
    mode = S_IFCHR | 0600;
    device = makedev(250, 1);
    node_path = "/sys/dev/char/250:1/numa_node";
    node_text = "2\n";
    CHECK_EQ(place_node(0), 2);
    end();
}

/* ---- this system --------------------------------------------------------- */

static void test_this_place_has_a_node_or_none(void)
{
    begin();
    struct test_resources before;
    sys = real;
    int fd = open(test_dir(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    REQUIRE_GE(fd, 0);
    layer_resources_take(&before);
    CHECK_GE(place_node(fd), -1);
    CHECK(nothing_leaked(&before));
    close(fd);
    end();
}

static const struct test_case tests[] = {
    {"a tmpfs is bound", test_a_tmpfs_is_bound},
    {"the line is that of the device", test_the_line_is_that_of_the_device},
    {"what does not fit is cut", test_what_does_not_fit_is_cut},
    {"without proc nothing is known", test_without_proc_nothing_is_known},
    {"a device has a node", test_a_device_has_a_node},
    {"a device dax has a node", test_a_device_dax_has_a_node},
    {"this place has a node or none", test_this_place_has_a_node_or_none},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("place node", tests, argc, argv);
}
