"""Wheels that leave a library to the consumer: tried where it is, recorded, refused where it is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sdists import EXTENSION, Ended, FileIndex, Workplace, in_tree

pytestmark = pytest.mark.engine

LIBRARY = "libldap-2.5.so.0"
CALL = """
extern int ldap_initialize(void *, const char *);
int call(void) { return ldap_initialize(0, 0); }
"""
RECIPE = f"""
system-packages.deb = ["libldap-dev", "libsasl2-dev"]
repair.exclude = ["{LIBRARY}"]
"""
RUNTIME = 'runtime-packages.deb = ["libldap-2.5-0"]\n'


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    made = [
        in_tree(
            name,
            f'return native(folder, "{name}.c", "-lldap")',
            files={f"{name}.c": EXTENSION.format(name=name) + CALL},
        )
        for name in ("told", "untold")
    ]
    with FileIndex() as index:
        index.offer(*made)
        work = Workplace(folder=tmp_path_factory.mktemp("outside"), index=index)
        work.write(made)
        work.recipe("told", RECIPE + RUNTIME)
        work.recipe("untold", RECIPE)
        yield work.run()


def test_the_bare_root_gets_the_packages_and_the_record_names_them(ended: Ended) -> None:
    told = ended.outcomes["told"]
    assert told["outcome"] == "built", told
    assert told["needs"] == {"libraries": [LIBRARY], "deb": ["libldap-2.5-0"], "rpm": []}
    assert told["grafted"] == [] and told["wheel"]["filename"].endswith("-manylinux_2_36_x86_64.whl")


def test_without_them_the_trial_says_what_to_name(ended: Ended) -> None:
    untold = ended.outcomes["untold"]
    assert (untold["class"], untold["step"]) == ("import-failed", "trial")
    assert (
        untold["hint"] == f"The recipe excludes {LIBRARY}: name the package that has it in runtime-packages."
    )
