/* Stands in PATH before a root's compilers, under their names: waits for one of the machine's compile slots, then
   becomes the real compiler, or the compiler cache for it. Where a toolchain is mounted it also lies over the root's
   own compilers, for builds that call them by their paths.

   A slot is a file that all builds of the machine see, locked with flock(2): the kernel frees it when the last process
   that the compiler has started is gone, so nothing leaks, whatever is killed. Who waits stands in a queue, so that
   one process looks for a free slot and not all; before that in one of its own build, so that each build gets its
   turn, however many compilers it would start. Static and of the host's architecture: it also runs in foreign roots.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST_SLOTS 1024
#define MOST_WORDS 8
#define PATIENCE 600                              /* seconds; after that a compiler too many is the lesser evil */
#define NEXT_PATIENCE 1                           /* seconds; of the next in a build where one has lost patience */
#define PAUSE 2000000                             /* nanoseconds between two looks for a free slot */
#define WAITING "waits-for-slot"                  /* what it calls itself meanwhile, for whoever looks at the machine */
#define HOLDS "WHEELBUILDER_HOLDS_SLOT"           /* in the environment of what runs in a slot: it needs no other */
#define SLOTS "WHEELBUILDER_SLOTS"                /* the folder of the slots */
#define CACHE "WHEELBUILDER_COMPILER_CACHE"       /* the words that call the compiler cache; none without one */
#define PARALLEL "-flto="
#define USUAL_SLOTS "/opt/wheelbuilder/slots"     /* for builds that clear their environment */
#define OWN_QUEUE "WHEELBUILDER_OWN_QUEUE"        /* a file of this build alone */
#define USUAL_OWN_QUEUE "/tmp/.compile-queue"
#define USUAL_PATH "/usr/local/bin:/usr/bin:/bin"
#define TOOLCHAIN "/opt/wheelbuilder/native/bin"  /* looked into last: builds may set a PATH of their own */

static const char *const questions[] = {          /* what compiles nothing, or only reads */
    "-E", "-M", "-MM", "-###", "--version", "-vV", "-V", "-dumpversion", "-dumpfullversion", "-dumpmachine",
    "-dumpspecs", "--print", "-print", "--help", "--target-help", "-qversion", "--explain", NULL};
static const char *const with_value[] = {
    "-o", "-x", "-I", "-L", "-l", "-D", "-U", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-MF",
    "-MT", "-MQ", "-arch", "-target", "-T", "-u", "-z", "-Xlinker", "-Xassembler", "-Xpreprocessor", NULL};

static volatile sig_atomic_t impatient;

static void lose_patience(int signal) { (void)signal; impatient = 1; }

static int is_one_of(const char *word, const char *const *words) {
    for (; *words; words++)
        if (!strcmp(word, *words)) return 1;
    return 0;
}

static int is_question(const char *word) {
    return is_one_of(word, questions) || !strncmp(word, "-print-", 7) || !strncmp(word, "--print", 7) ||
           !strncmp(word, "--help=", 7);
}

/* Say whether a command line compiles or links: it names an input, and does not only ask something. */
static int works(char **words) {
    int inputs = 0;
    for (; *words; words++) {
        if (is_question(*words)) return 0;
        if (is_one_of(*words, with_value)) {
            if (words[1]) words++;
        } else if (**words != '-' || !(*words)[1]) {
            inputs++;
        }
    }
    return inputs > 0;
}

static int is_assembly(const char *word) {
    const char *dot = strrchr(word, '.');
    return dot && (!strcasecmp(dot, ".s") || !strcmp(dot, ".sx") || !strcmp(dot, ".asm"));
}

/* Say whether the compiler cache may know the answer: one object of C or C++ is asked for. What an assembler
   includes no preprocessor sees; and the cache adds an option, which -frecord-gcc-switches would write down. */
static int is_cacheable(const char *name, char **words) {
    int compiles = 0;
    if (strstr(name, "fortran") || strstr(name, "rustc")) return 0;
    for (; *words; words++) {
        if (is_assembly(*words) || !strcmp(*words, "-frecord-gcc-switches")) return 0;
        if (!strcmp(*words, "-c")) compiles = 1;
    }
    return compiles;
}

/* Return the word that says how many compilers a link starts for its optimization; NULL if it starts one. */
static char **parallel_word(char **words) {
    char **found = NULL;
    for (; *words; words++) {
        if (!strcmp(*words, "-c") || !strcmp(*words, "-S")) return NULL;
        if (!strncmp(*words, PARALLEL, strlen(PARALLEL))) found = words;
    }
    return found;
}

/* Find the next program of this name in PATH that is not this one. */
static const char *real_program(const char *name) {
    static char path[4096];
    struct stat own, found;
    char *places;
    const char *start, *end, *given = getenv("PATH");
    if (stat("/proc/self/exe", &own) || asprintf(&places, "%s:%s", given ? given : USUAL_PATH, TOOLCHAIN) < 0) return NULL;
    for (start = places;; start = end + 1) {
        end = strchrnul(start, ':');
        int length = snprintf(path, sizeof path, "%.*s/%s", (int)(end - start), start, name);
        int fits = end > start && length < (int)sizeof path;
        if (fits && !stat(path, &found) && S_ISREG(found.st_mode) && !access(path, X_OK) &&
            (found.st_dev != own.st_dev || found.st_ino != own.st_ino))
            return path;
        if (!*end) return NULL;
    }
}

static const char *setting(const char *name, const char *usual) {
    const char *given = getenv(name);
    return given ? given : usual;
}

static int open_in(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Lock the first free one of the slots, looking until there is one; -1 once patience is lost. */
static int free_slot(const int *slots, int count) {
    const struct timespec pause = {0, PAUSE};
    for (int looks = 0; !impatient; looks++) {
        for (int each = 0; each < count; each++)
            if (!flock(slots[each], LOCK_EX | LOCK_NB)) return slots[each];
        if (looks == 0) prctl(PR_SET_NAME, WAITING);
        nanosleep(&pause, NULL);
    }
    return -1;
}

/* Take what is free beside the first slot, as far as it is wanted, and return how many there are now. */
static int take_more(const int *slots, int count, int first, const char *wanted) {
    int taken = 1, most = atoi(wanted) > 0 ? atoi(wanted) : count; /* "auto" */
    for (int each = 0; each < count && taken < most; each++)
        if (slots[each] != first && !flock(slots[each], LOCK_EX | LOCK_NB)) {
            fcntl(slots[each], F_SETFD, 0);
            taken++;
        }
    return taken;
}

static void stand_in(int queue) {
    if (!flock(queue, LOCK_EX | LOCK_NB)) return;
    prctl(PR_SET_NAME, WAITING);
    while (flock(queue, LOCK_EX) && errno == EINTR && !impatient) continue;
}

/* A file with something in it says that the last one of this build has lost patience. */
static int is_marked(int own) {
    struct stat found;
    return !fstat(own, &found) && found.st_size;
}

/* Wait for a slot; its file stays open in what this process becomes. Without a folder of slots there is no limit.
   parallel: the word of a link that may use more than one, or NULL; it gets the number of those that are free. */
static void take_slot(char **parallel) {
    static char number[32];
    static int slots[MOST_SLOTS];
    const char *folder = setting(SLOTS, USUAL_SLOTS);
    char name[16];
    int count = 0, queue = open_in(folder, "queue"), taken = -1;
    int own = open(setting(OWN_QUEUE, USUAL_OWN_QUEUE), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct sigaction soon = {.sa_handler = lose_patience}, before;
    if (queue < 0) return;
    for (; count < MOST_SLOTS; count++) {
        snprintf(name, sizeof name, "%d", count);
        if ((slots[count] = open_in(folder, name)) < 0) break;
    }
    sigaction(SIGALRM, &soon, &before);
    alarm(is_marked(own) ? NEXT_PATIENCE : PATIENCE);
    if (own >= 0) stand_in(own);
    stand_in(queue);
    if (!impatient && count) taken = free_slot(slots, count);
    alarm(0);
    sigaction(SIGALRM, &before, NULL);
    close(queue);
    if (own >= 0 && ftruncate(own, count && taken < 0)) perror(OWN_QUEUE);
    if (own >= 0) close(own);
    if (taken >= 0) fcntl(taken, F_SETFD, 0);
    if (parallel && taken >= 0) {
        snprintf(number, sizeof number, PARALLEL "%d", take_more(slots, count, taken, *parallel + strlen(PARALLEL)));
        *parallel = number;
    }
    setenv(HOLDS, "1", 1);
}

static int become(char **words) {
    execv(words[0], words);
    fprintf(stderr, "%s: %s\n", words[0], strerror(errno));
    return 126;
}

/* Become the compiler cache, which is called by several words, for a compiler. */
static int ask_cache(const char *cache, int count, char **words) {
    char *copy = strdup(cache), *rest = copy;
    char **all = calloc(count + MOST_WORDS + 1, sizeof *all);
    int used = 0;
    if (!copy || !all) return become(words);
    while (used < MOST_WORDS && (all[used] = strsep(&rest, " "))) used++;
    memcpy(all + used, words, (count + 1) * sizeof *all);
    return become(all);
}

int main(int count, char **words) {
    const char *slash = strrchr(words[0], '/'), *name = slash ? slash + 1 : words[0], *cache = getenv(CACHE), *real;
    if (!(real = real_program(name))) {
        fprintf(stderr, "%s: not found\n", name);
        return 127;
    }
    words[0] = (char *)real;
    if (getenv(HOLDS) || !works(words + 1)) return become(words);
    take_slot(parallel_word(words + 1));
    if (cache && *cache && is_cacheable(name, words + 1)) return ask_cache(cache, count, words);
    return become(words);
}
