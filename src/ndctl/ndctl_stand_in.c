/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for libndctl and libdaxctl in executables without any shared
 * library: libpmem.a calls 22 functions of theirs, and distributions have no
 * static archives of them. The functions here are in an archive of their own,
 * libmemkind_ndctl.a, which is linked after libpmem.a. The linker takes nothing
 * from it if libpmem is shared, or if the real libraries come first.
 *
 * libpmem's pmem_map_file() needs the size of a device DAX and the number of
 * its region. (For files it calls none of these functions.) The kernel shows
 * both under /sys/bus/dax. The stand-in builds a tree like libndctl's from
 * them, with one bus, and with one region and one namespace for each device. So
 * a device DAX works as with the real libraries. Devices that belong to no
 * NVDIMM work as well; libndctl does not know those.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/dax/devices"

struct device {
    struct device *next;
    unsigned long long size;
    unsigned long long align;
    unsigned region;
    int node;
    char name[32];
};

/* The context, which is its only bus as well. */
struct ndctl_bus;
struct ndctl_ctx {
    struct device *devices;
};

/* Pointers to these point to a struct device. */
struct ndctl_region;
struct ndctl_namespace;
struct ndctl_dax;
struct daxctl_region;
struct daxctl_dev;
/* These do not exist here. */
struct ndctl_btt;
struct ndctl_pfn;

int ndctl_new(struct ndctl_ctx **ctx);
struct ndctl_ctx *ndctl_unref(struct ndctl_ctx *ctx);
struct ndctl_bus *ndctl_bus_get_first(struct ndctl_ctx *ctx);
struct ndctl_bus *ndctl_bus_get_next(struct ndctl_bus *bus);
struct ndctl_region *ndctl_region_get_first(struct ndctl_bus *bus);
struct ndctl_region *ndctl_region_get_next(struct ndctl_region *region);
unsigned int ndctl_region_get_id(struct ndctl_region *region);
int ndctl_region_get_numa_node(struct ndctl_region *region);
struct ndctl_namespace *ndctl_namespace_get_first(struct ndctl_region *region);
struct ndctl_namespace *ndctl_namespace_get_next(struct ndctl_namespace *ndns);
struct ndctl_btt *ndctl_namespace_get_btt(struct ndctl_namespace *ndns);
struct ndctl_dax *ndctl_namespace_get_dax(struct ndctl_namespace *ndns);
struct ndctl_pfn *ndctl_namespace_get_pfn(struct ndctl_namespace *ndns);
const char *ndctl_namespace_get_block_device(struct ndctl_namespace *ndns);
const char *ndctl_btt_get_block_device(struct ndctl_btt *btt);
const char *ndctl_pfn_get_block_device(struct ndctl_pfn *pfn);
unsigned long ndctl_dax_get_align(struct ndctl_dax *dax);
unsigned long long ndctl_dax_get_size(struct ndctl_dax *dax);
struct daxctl_region *ndctl_dax_get_daxctl_region(struct ndctl_dax *dax);
struct daxctl_dev *daxctl_dev_get_first(struct daxctl_region *region);
struct daxctl_dev *daxctl_dev_get_next(struct daxctl_dev *dev);
const char *daxctl_dev_get_devname(struct daxctl_dev *dev);

/* Reads a number, decimal or 0x..., of a device's folder in sysfs. */
static int read_device_number(const char *device, const char *name,
                              unsigned long long *value)
{
    char path[256];
    snprintf(path, sizeof path, DEVICES "/%s/%s", device, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -errno;
    char text[64];
    char *end = text;
    if (fgets(text, sizeof text, file) != NULL)
        *value = strtoull(text, &end, 0);
    fclose(file);
    return end != text ? 0 : -EINVAL;
}

/* Returns 0, or a negative errno if the device cannot be mapped. */
static int read_device(const char *name, struct device *device)
{
    char node[64];
    unsigned long long number = 0;
    size_t length = strlen(name);
    if (length >= sizeof device->name)
        return -ENAMETOOLONG;
    /* A device that the kernel uses as ordinary memory has no node. libpmem
     * would give up at the first one without. */
    snprintf(node, sizeof node, "/dev/%s", name);
    if (access(node, F_OK) != 0)
        return -errno;
    int result = read_device_number(name, "size", &device->size);
    if (result != 0)
        return result;
    if (read_device_number(name, "align", &device->align) != 0)
        device->align = 0;
    device->node =
        read_device_number(name, "numa_node", &number) == 0 ? (int)number : -1;
    /* The name has the region in it: dax<region>.<number> */
    static const char prefix[] = "dax";
    char *end;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return -EINVAL;
    device->region = (unsigned)strtoul(name + sizeof prefix - 1, &end, 10);
    if (*end != '.')
        return -EINVAL;
    memcpy(device->name, name, length + 1);
    return 0;
}

static int read_devices(struct device **first)
{
    DIR *dir = opendir(DEVICES);
    if (dir == NULL)
        return 0; /* a kernel without device DAX */
    int result = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        struct device *device = calloc(1, sizeof *device);
        if (device == NULL) {
            result = -ENOMEM;
            break;
        }
        if (read_device(entry->d_name, device) != 0) {
            free(device);
            continue;
        }
        device->next = *first;
        *first = device;
    }
    closedir(dir);
    return result;
}

int ndctl_new(struct ndctl_ctx **ctx)
{
    struct ndctl_ctx *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    int result = read_devices(&made->devices);
    if (result != 0) {
        ndctl_unref(made);
        return result;
    }
    *ctx = made;
    return 0;
}

struct ndctl_ctx *ndctl_unref(struct ndctl_ctx *ctx)
{
    if (ctx == NULL)
        return NULL;
    while (ctx->devices != NULL) {
        struct device *next = ctx->devices->next;
        free(ctx->devices);
        ctx->devices = next;
    }
    free(ctx);
    return NULL;
}

struct ndctl_bus *ndctl_bus_get_first(struct ndctl_ctx *ctx)
{
    return (struct ndctl_bus *)ctx;
}

struct ndctl_bus *ndctl_bus_get_next(struct ndctl_bus *bus)
{
    (void)bus;
    return NULL;
}

struct ndctl_region *ndctl_region_get_first(struct ndctl_bus *bus)
{
    return (struct ndctl_region *)((struct ndctl_ctx *)bus)->devices;
}

struct ndctl_region *ndctl_region_get_next(struct ndctl_region *region)
{
    return (struct ndctl_region *)((struct device *)region)->next;
}

unsigned int ndctl_region_get_id(struct ndctl_region *region)
{
    return ((struct device *)region)->region;
}

int ndctl_region_get_numa_node(struct ndctl_region *region)
{
    return ((struct device *)region)->node;
}

struct ndctl_namespace *ndctl_namespace_get_first(struct ndctl_region *region)
{
    return (struct ndctl_namespace *)region;
}

struct ndctl_namespace *ndctl_namespace_get_next(struct ndctl_namespace *ndns)
{
    (void)ndns;
    return NULL;
}

struct ndctl_btt *ndctl_namespace_get_btt(struct ndctl_namespace *ndns)
{
    (void)ndns;
    return NULL;
}

/* libpmem passes NULL if it has found no namespace. */
struct ndctl_dax *ndctl_namespace_get_dax(struct ndctl_namespace *ndns)
{
    return (struct ndctl_dax *)ndns;
}

struct ndctl_pfn *ndctl_namespace_get_pfn(struct ndctl_namespace *ndns)
{
    (void)ndns;
    return NULL;
}

/* No namespace here has a block device; for libpmem, "" matches nothing. */
const char *ndctl_namespace_get_block_device(struct ndctl_namespace *ndns)
{
    (void)ndns;
    return "";
}

const char *ndctl_btt_get_block_device(struct ndctl_btt *btt)
{
    (void)btt;
    return "";
}

const char *ndctl_pfn_get_block_device(struct ndctl_pfn *pfn)
{
    (void)pfn;
    return "";
}

unsigned long ndctl_dax_get_align(struct ndctl_dax *dax)
{
    return (unsigned long)((struct device *)dax)->align;
}

unsigned long long ndctl_dax_get_size(struct ndctl_dax *dax)
{
    return ((struct device *)dax)->size;
}

struct daxctl_region *ndctl_dax_get_daxctl_region(struct ndctl_dax *dax)
{
    return (struct daxctl_region *)dax;
}

struct daxctl_dev *daxctl_dev_get_first(struct daxctl_region *region)
{
    return (struct daxctl_dev *)region;
}

struct daxctl_dev *daxctl_dev_get_next(struct daxctl_dev *dev)
{
    (void)dev;
    return NULL;
}

const char *daxctl_dev_get_devname(struct daxctl_dev *dev)
{
    return ((struct device *)dev)->name;
}
