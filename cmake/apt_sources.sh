# Fetches packages of the distribution without installing them, by lists of
# sources of its own, so that no file of the machine changes. To be sourced:
#
#   apt_sources TYPE [CODENAME]      the lines of such a list (TYPE: deb, deb-src)
#   apt_apart DIRECTORY COMMAND...   apt-get or apt-cache, with the list and all
#                                    that apt keeps in DIRECTORY
#   apt_apart_list DIRECTORY TYPE [CODENAME]    writes that list, fetches its index
#   apt_download DIRECTORY TO PACKAGE...        the packages, without what they
#                                    depend on, into the folder TO; if this release
#                                    of Debian no longer has them, an earlier one's
#
# Mirrors, keys and proxies are those of apt's configuration; CODENAME is another
# release on the same mirrors, such as bookworm.
# shellcheck shell=bash

# os_release NAME: a value of /etc/os-release
os_release() { (. /etc/os-release 2>/dev/null && printf '%s\n' "${!1:-}"); }

apt_sources() {
    local type=$1 own id key= uri release component origin codename
    own=$(os_release VERSION_CODENAME) id=$(os_release ID)
    command -v apt-get >/dev/null && [ -n "$own" ] || return 0
    # apt does not show which key belongs to which source: the keys are those that
    # it trusts for all sources, or the distribution's.
    if ! ls /etc/apt/trusted.gpg.d/*.[ag][sp][cg] >/dev/null 2>&1; then
        key=$(ls /usr/share/keyrings/"$id"-archive-keyring.[gp]* 2>/dev/null | head -n 1)
        [ -z "$key" ] || key="[signed-by=$key] "
    fi
    # A dash before each field, so that an empty one does not move the others.
    apt-get indextargets --format \
        '$(REPO_URI) -$(RELEASE) -$(COMPONENT) -$(ORIGIN) -$(CODENAME)' \
        "Created-By: Packages" 2>/dev/null | sort -u |
        while read -r uri release component origin codename; do
            release=${release#-} origin=${origin#-} codename=${codename#-}
            # Sources of other vendors are left out.
            [ -z "$origin" ] || [ "${origin,,}" = "$id" ] || continue
            case ${component#-} in main | universe) ;; *) continue ;; esac
            # "stable" and the like have the name from the index, if there is one.
            [[ $release == "$own"* ]] || release=$codename
            case $release in "$own" | "$own"-updates | "$own"-security) ;; *) continue ;; esac
            printf '%s %s%s %s %s\n' "$type" "$key" "$uri" "${2:-$own}${release#"$own"}" "${component#-}"
        done
}

apt_apart() {
    local directory=$1 command=$2
    shift 2
    "$command" -o "Dir::Etc::SourceList=$directory/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$directory/lists" -o "Dir::Cache=$directory/cache" \
        -o "APT::Sandbox::User=$(id -un)" -o APT::Get::List-Cleanup=false "$@"
}

apt_apart_list() {
    local directory=$1
    shift
    mkdir -p "$directory/lists/partial" "$directory/cache/archives/partial"
    apt_sources "$@" >"$directory/sources.list"
    [ -s "$directory/sources.list" ] || {
        echo "apt has no sources of this distribution"
        return 1
    }
    # A mirror without such an index must not keep the others from being used.
    apt_apart "$directory" apt-get -q update || true
}

# The last release of Debian with packages that later ones have dropped.
apt_earlier=bookworm

apt_download() {
    local directory=$1 to=$2 release
    shift 2
    mkdir -p "$to"
    # The machine's own lists, if it has any.
    if (cd "$to" && apt-get -q -o "APT::Sandbox::User=$(id -un)" download "$@"); then return; fi
    for release in "$(os_release VERSION_CODENAME)" $apt_earlier; do
        [ "$(os_release ID)" = debian ] || [ "$release" != $apt_earlier ] || continue
        find "$to" -name '*.deb' -delete
        apt_apart_list "$directory/$release" deb "$release" || continue
        if (cd "$to" && apt_apart "$directory/$release" apt-get -q download "$@"); then return; fi
    done
    return 1
}
