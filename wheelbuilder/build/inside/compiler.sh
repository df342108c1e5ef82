#!@native@/usr/bin/dash
# Has the names of the C and C++ compilers of a pulled image, and becomes clang, which is native and told what the
# image's GCC does by itself. For what clang does otherwise it becomes that GCC, emulated, for this one call.
name=${0##*/}
case $name in
    *++*) driver=g++ ;;
    cpp* | *-cpp*) driver=cpp ;;
    *) driver=gcc ;;
esac

own() {
    PATH=@path@
    export PATH
    exec "$name" "$@"
}

asks='-m(arch|cpu|tune)=native|-fopen(mp|acc)|-fplugin|-fsanitize|-fprofile|-coverage|-specs|-nostdinc|-fuse-ld'
assembler='' optimized='' fortified=''
for word; do
    case $word in
        # This machine is not the one that is meant.
        -march=native | -mcpu=native | -mtune=native) own "$@" ;;
        # These need a run-time library, a plugin, a format or words that are GCC's own.
        -fopenmp* | -fopenacc* | -fplugin=* | -fsanitize* | -fprofile* | -fauto-profile*) own "$@" ;;
        --coverage | -ftest-coverage | -specs=* | --specs=* | -nostdinc* | -fuse-ld=* | -wrapper) own "$@" ;;
        -Q | --help* | --target-help | -print-* | --print-* | -dumpspecs) own "$@" ;;
        @*) @native@/usr/bin/grep -Eqs -e "$asks" -- "${word#@}" && own "$@" ;;
        -dumpmachine) echo @triplet@; exit ;;
        # What people write for GNU as is for it: the native one.
        *.[sS] | *.sx | -Wa,* | -Xassembler | assembler | assembler-with-cpp | -xassembler*) assembler=-fno-integrated-as ;;
        -O0) optimized='' ;;
        -O*) optimized=yes ;;
        *_FORTIFY_SOURCE*) fortified=yes ;;
    esac
done
case $optimized/$fortified in
    yes/) fortify=@fortify@ ;;
    *) fortify='' ;;
esac

# Clang leaves LIBRARY_PATH to native compilers.
folders=$LIBRARY_PATH
while test -n "$folders"; do
    test -z "${folders%%:*}" || set -- "$@" "-L${folders%%:*}"
    case $folders in
        *:*) folders=${folders#*:} ;;
        *) folders='' ;;
    esac
done
test "$1" != -dumpfullversion || { shift; set -- -dumpversion "$@"; }

# Those of the linker come after what the build names; warnings of the driver are not for its configuration file.
exec @clang@ --driver-mode=$driver --config=@config@ \
    -Wno-unused-command-line-argument -Wno-ignored-optimization-argument $assembler $fortify "$@" @libraries@
