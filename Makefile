# Every target first does what set-up is missing; nothing is done twice.
#   make demo    the main job on the demo list, published into $(STORE)
#   make test    all tests
#   make test-s3-all  the store's tests on every object storage server: also installs Swift and Ceph
#   make test-foreign  projects in C, C++ and Rust for every foreign target, and in a pulled image: makes a dozen roots
#   make check   before every commit: lint, types, unit tests (under a minute)
#   make images ARCHS='x86_64 aarch64' [FAMILIES='bookworm trixie']
#   make upload-images ARCHS='x86_64 aarch64' REGISTRY=registry.example.org/wheels [ENGINE=podman|docker]

STORE ?= demo-mirror
ARCHS ?= x86_64 aarch64
FAMILIES ?= bookworm
REGISTRY ?=
ENGINE ?=
S3_SERVERS ?= ministack swift radosgw
FOREIGN_TARGETS ?= cp311-manylinux_2_36_aarch64 cp311-manylinux_2_36_armv7l \
	$(foreach arch,aarch64 ppc64le s390x riscv64,cp313-manylinux_2_41_$(arch))
# The first Python that is new enough. Override: make demo PYTHON=/path/to/python3.12
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do \
	if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CHOSEN = $(strip $(foreach arch,$(ARCHS),--arch $(arch)) $(foreach family,$(FAMILIES),--family $(family)) \
	$(if $(ENGINE),--engine $(ENGINE)))

.PHONY: demo test test-s3-all test-foreign check images upload-images setup setup-tests setup-s3 python clean clean-demo clean-images

demo: setup $(INSTALLED)
	$(BIN)/wheelbuilder run requirements-lists/demo.toml --store $(STORE)

test: setup-tests $(INSTALLED)
	$(BIN)/pytest --numprocesses auto

test-s3-all: setup-s3 $(INSTALLED)
	S3_SERVERS="$(S3_SERVERS)" $(BIN)/pytest -m s3

test-foreign: setup-tests $(INSTALLED)
	FOREIGN_TARGETS="$(FOREIGN_TARGETS)" $(BIN)/pytest tests/integration/test_foreign.py tests/integration/foreign_pulled.py

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto -m "not engine and not network and not integration and not s3"

images: setup $(INSTALLED)
	$(BIN)/wheelbuilder images build $(CHOSEN)

upload-images: setup $(INSTALLED)
	@test -n "$(REGISTRY)" || { echo "Say where to: make upload-images REGISTRY=registry.example.org/wheels" >&2; exit 2; }
	$(BIN)/wheelbuilder images push $(CHOSEN) --registry $(REGISTRY)

# No stamp: what this checks does not outlive a restart of the machine, and checking takes a moment.
setup:
	@sh containers/setup.sh run

setup-tests:
	@sh containers/setup.sh test

setup-s3:
	@sh containers/setup.sh s3

python: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or newer with venv. Install it (Debian: apt install python3-venv), or say where it is: make PYTHON=/path/to/python" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,s3]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

clean-demo:
	rm -rf $(STORE)

clean-images: $(INSTALLED)
	$(BIN)/wheelbuilder images prune
