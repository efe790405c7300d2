# What hooks that were written for the enroot in bash call: source "${ENROOT_LIBRARY_PATH}/common.sh"
# shellcheck shell=bash

# common::log LEVEL TEXT…: a line on standard error; without a level, text without a prefix.
common::log() {
    local level=${1-}
    shift || true
    case ${ENROOT_LOG_LEVEL:-info}/$level in
        error/INFO | error/WARN | warn/INFO | warning/INFO) return 0 ;;
    esac
    printf '%s\n' "${level:+[$level] }$*" >&2
}

common::warn() {
    common::log WARN "$@"
}

common::err() {
    common::log ERROR "$@"
    exit 1
}

# common::checkcmd PROGRAM…: end when one is not installed.
common::checkcmd() {
    local program
    for program; do
        command -v "$program" > /dev/null || common::err "the program '$program' is not installed"
    done
}

# The user's line of the passwd database: that of the one outside, whoever he is mapped to.
common::getpwent() {
    local inside outside
    read -r inside outside _ < /proc/self/uid_map
    if [ "$inside" = 0 ] && [ "$outside" = 0 ]; then outside=$EUID; fi
    getent passwd "$outside"
}

common::realpath() {
    readlink -f -- "$1" || common::err "there is no '$1'"
}

# common::mktmp [OPTION…]: a temporary file or, with -d, folder.
common::mktmp() {
    mktemp "$@" -p "${ENROOT_TEMP_PATH:-/tmp}" enroot.XXXXXXXXXX
}

common::chdir() {
    cd -- "$1" || common::err "cannot change to '$1'"
}
