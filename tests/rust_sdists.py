"""Real sdists in Rust, of nothing but its standard library: TOLD of each module is what its build was told.

The procedural macro of each is made of a library that the module uses too, and that library of another one.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdists import Sdist, in_tree

BODY = """
environ = dict(os.environ, **{environ!r})
subprocess.run([{cargo!r}, "build", "--release", "--offline", *{words!r}], check=True, env=environ)
with open(os.path.join("target", *{words!r}[1:], "release", "lib" + NAME + ".so"), "rb") as file:
    data = file.read()
version = "cp%d%d" % sys.version_info[:2]
machine = sysconfig.get_platform().replace("-", "_")
suffix = sysconfig.get_config_var("EXT_SUFFIX")
return pack(folder, {{NAME + suffix: data}}, tag=f"{{version}}-{{version}}-{{machine}}")
"""
MODULE = """
use std::os::raw::{c_char, c_int, c_void};
use std::ptr::null_mut;

#[repr(C)]
pub struct Definition {
    count: isize, kind: *mut c_void, init: *mut c_void, index: isize, copy: *mut c_void,
    name: *const u8, doc: *const u8, size: isize, rest: [*mut c_void; 5],
}

extern "C" {
    fn PyModule_Create2(definition: *mut Definition, api: c_int) -> *mut c_void;
    fn PyModule_AddStringConstant(module: *mut c_void, name: *const u8, value: *const u8) -> c_int;
}

static mut DEFINITION: Definition = Definition {
    count: 1, kind: null_mut(), init: null_mut(), index: 0, copy: null_mut(),
    name: b"@NAME@\\0" as *const u8, doc: null_mut(), size: -1, rest: [null_mut(); 5],
};
pub const TOLD: &str = concat!(macros::told!(), " ", include_str!(concat!(env!("OUT_DIR"), "/told")), "\\0");

#[no_mangle]
pub unsafe extern "C" fn PyInit_@NAME@() -> *mut c_void {
    if !TOLD.starts_with(&shared::told()) {
        return null_mut();
    }
    let module = PyModule_Create2(std::ptr::addr_of_mut!(DEFINITION), 1013);
    PyModule_AddStringConstant(module, b"TOLD\\0" as *const u8, TOLD.as_ptr());
    let _: *const c_char = null_mut();
    module
}
"""
BUILD = """
fn main() {
    let told = |name: &str| std::env::var(name).unwrap();
    let (arch, out) = (std::env::consts::ARCH, told("OUT_DIR"));
    let asked = std::process::Command::new(told("RUSTC")).arg("-vV").output().unwrap();
    let asked = String::from_utf8(asked.stdout).unwrap();
    let asked = asked.lines().find(|line| line.starts_with("host")).unwrap().to_string();
    let text = format!(
        "{} target: {} host: {} arch: {} {} rustc {}",
        shared::told(), told("TARGET"), told("HOST"), told("CARGO_CFG_TARGET_ARCH"), arch, asked
    );
    std::fs::write(format!("{}/told", out), text).unwrap();
}
"""
SHARED = 'pub fn told() -> String { format!("{} {} {}", base::told(), env!("TOLD"), cfg!(told)) }\n'
SHARED_BUILD = """
fn main() {
    println!("cargo:rustc-env=TOLD=by-a-build-script");
    println!("cargo:rustc-check-cfg=cfg(told)");
    println!("cargo:rustc-cfg=told");
}
"""
MACROS = """
use proc_macro::TokenStream;
#[proc_macro]
pub fn told(_: TokenStream) -> TokenStream { format!("{:?}", @SAYS@).parse().unwrap() }
"""
CRATE = (
    '[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2018"\n[lib]\n{lib}\n[dependencies]\n{uses}\n'
)
# How Rust calls the architectures of triples that begin otherwise.
NAMES = {"armv7": "arm", "powerpc64le": "powerpc64", "riscv64gc": "riscv64"}


def _crate(name: str, lib: str = "", *uses: str, root: str = "..") -> str:
    return CRATE.format(
        name=name, lib=lib, uses="".join(f'{it} = {{ path = "{root}/{it}" }}\n' for it in uses)
    )


def rust(
    name: str,
    *,
    cargo: str = "cargo",
    words: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    says: str = "shared::told()",
    files: Mapping[str, str] | None = None,
) -> Sdist:
    """An sdist with a module in Rust. cargo, words, environ: how it is called. says: what the macro makes."""
    manifest = _crate(name, 'crate-type = ["cdylib"]', "macros", "shared", root=".")
    made = {
        "Cargo.toml": f'{manifest}[build-dependencies]\nshared = {{ path = "shared" }}\n[workspace]\n',
        "src/lib.rs": MODULE.replace("@NAME@", name),
        "build.rs": BUILD,
        "macros/Cargo.toml": _crate("macros", "proc-macro = true", "shared"),
        "macros/src/lib.rs": MACROS.replace("@SAYS@", says),
        "shared/Cargo.toml": _crate("shared", "", "base"),
        "shared/src/lib.rs": SHARED,
        "shared/build.rs": SHARED_BUILD,
        "base/Cargo.toml": _crate("base"),
        "base/src/lib.rs": 'pub fn told() -> &\'static str { "told" }\n',
    }
    body = BODY.format(cargo=cargo, words=list(words), environ=dict(environ or {}))
    return in_tree(name, body, files={**made, **(files or {})})


def told(triple: str) -> bytes:
    """What a module's build was told where the compiler runs on the target."""
    first = triple.partition("-")[0]
    arch = NAMES.get(first, first)
    words = "told by-a-build-script true"
    return (
        f"{words} {words} target: {triple} host: {triple} arch: {arch} {arch} rustc host: {triple}\0".encode()
    )
