#!/usr/bin/env bash
# collect_libraries.sh IMAGE: puts into a new folder IMAGE what the nodes need to run and nothing else; ROS is sourced.
#
# That is the programs of the package and fast-discovery-server; the middleware, and every type support that is
# installed, which are opened by name; the libraries that these are linked to, the loader among them; certificates,
# users, and how names are looked up. With each library goes the licence of its Debian package, and what scanners read.
set -euo pipefail

image="$1"
package=/opt/digital_twin_simulation
ros="/opt/ros/$ROS_DISTRO"

die() {
    echo "error: $*" >&2
    exit 1
}

is_elf() { # FILE
    [ "$(head -c 4 "$1" | tr -d '\0')" = $'\x7fELF' ]
}

# What nobody is linked to, or not all of it.
programs_and_what_they_open() {
    local file
    for file in "$package"/lib/digital_twin_simulation/* "$ros"/bin/fast-discovery-server \
        "$ros"/lib/librmw_implementation.so "$ros"/lib/librmw_fastrtps_cpp.so "$ros"/lib/librcl_logging_*.so \
        "$ros"/lib/lib*__rosidl_typesupport_{c,fastrtps_c,introspection_c}.so; do
        # Not scripts, and not a library that is a linker's script.
        ! is_elf "$file" || echo "$file"
    done
}

# The files themselves, and the libraries that they need, the loader included.
with_libraries() { # FILE…
    local linked
    linked="$(ldd "$@")"
    ! grep 'not found' <<<"$linked" || die "libraries are missing"
    {
        printf '%s\n' "$@"
        sed -n 's/^\t\(.* => \)\?\(\/[^ ]*\) (0x.*/\2/p' <<<"$linked"
    } | sort -u
}

# Under the name that it is looked for by, whatever it is a link to.
copy() { # FILE
    local folder
    folder="$(realpath "$(dirname "$1")")"
    mkdir -p "$image$folder"
    cp --dereference "$1" "$image$folder/"
}

# As the system has it: /lib is /usr/lib, for example.
copy_links_to_usr() {
    local link
    for link in /lib /lib64; do
        [ ! -L "$link" ] || cp --no-dereference "$link" "$image$link"
    done
}

copy_settings() {
    mkdir -p "$image"/{etc/ssl/certs,tmp,"$package/share/digital_twin_simulation"}
    chmod 1777 "$image/tmp"
    cp --dereference /etc/os-release "$image/etc/"
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
    echo 'digital_twin:x:10001:10001::/tmp:/usr/sbin/nologin' >"$image/etc/passwd"
    echo 'digital_twin:x:10001:' >"$image/etc/group"
    # Without it /etc/hosts comes after the name server.
    echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
    cp -r "$package"/share/digital_twin_simulation/{config,licences,package.xml} \
        "$image$package/share/digital_twin_simulation/"
}

# Which middlewares there are, for who sets no RMW_IMPLEMENTATION.
copy_ros_index() {
    local index="$ros/share/ament_index/resource_index/rmw_typesupport"
    mkdir -p "$image$index"
    cp "$index"/* "$image$index/"
}

# Debian calls a file what it was called before /lib became /usr/lib, or after.
packages_of() { # FILE…
    local file
    for file in "$@"; do
        file="$(realpath "$file")"
        printf '%s\n' "$file" "${file#/usr}"
    done | xargs dpkg-query --search 2>/dev/null | sed -n '/diversion by/d; s/^\([^ ,:]*\).*/\1/p' | sort -u
}

# A package of ROS tells its licence in its package.xml.
licences_of() { # PACKAGE
    dpkg-query --listfiles "$1" | grep -E '^/usr/share/doc/.*/copyright$|^/opt/ros/.*/package\.xml$' || true
}

copy_licences() { # FILE…
    local name file
    mkdir -p "$image/var/lib/dpkg/status.d"
    for name in $(packages_of "$@"); do
        dpkg-query --status "$name" >"$image/var/lib/dpkg/status.d/$name"
        for file in $(licences_of "$name"); do
            [ ! -e "$file" ] || copy "$file"
        done
    done
}

main() {
    local opened files file
    mkdir "$image"
    copy_settings
    copy_links_to_usr
    mapfile -t opened < <(programs_and_what_they_open)
    mapfile -t files < <(with_libraries "${opened[@]}")
    for file in "${files[@]}"; do
        copy "$file"
    done
    copy_ros_index
    copy_licences "${files[@]}" /etc/ssl/certs/ca-certificates.crt
    tr : '\n' <<<"$LD_LIBRARY_PATH" >"$image/etc/ld.so.conf"
    ldconfig -r "$image"
    echo "${#files[@]} files, $(du -sh "$image" | cut -f1)"
}

shopt -s nullglob
main
