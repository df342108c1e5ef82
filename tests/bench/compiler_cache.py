"""How much quicker the compiler cache makes the second build of a set, after a recipe change that leaves flags alone.

Each sdist is built twice through `wheelbuilder rebuild`, first with a cache folder that has nothing of it. The time
of a build is that of its step `build`: the backend's hooks with all that is not compiling too. What compiling alone
takes is measured beside it: the processor seconds of everything that ran in the container, read from its control
group by nobody here, but by a build with `--no-cache` in the same minute, so that a busy machine disturbs both alike.
"""
