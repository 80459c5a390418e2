# SPDX-License-Identifier: GPL-2.0-or-later
# `sudo make demo` and `sudo make test` need nothing prepared: what is missing is installed first.

SHELL  := /bin/bash
VENV   := .venv
PY     := $(VENV)/bin/python
# The distribution's own python: its headers come from a package.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)

BUILD_PACKAGES := gcc libc6-dev python3-venv python3-dev libssl-dev zlib1g-dev
# Absent from some architectures; the packet engine then uses libcrypto alone.
BUILD_WANTED   := libipsec-mb-dev
RUN_PACKAGES   := iproute2 nftables iptables kmod procps
DEMO_PACKAGES  := tcpdump iputils-ping
TEST_PACKAGES  := conntrack ipset iperf3 openssl strongswan-charon strongswan-swanctl libcharon-extra-plugins libcharon-extauth-plugins \
                  libstrongswan-standard-plugins libstrongswan-extra-plugins strongswan-pki softhsm2 man-db \
                  shellcheck busybox dash systemd logrotate apparmor
# A second opinion about the manual pages.
TEST_WANTED    := mandoc
# Unpacked, not installed: an installed server would be running.
DNS_PACKAGES   := nsd unbound ldnsutils knot
PEER_PACKAGES  := qemu-system-x86 debootstrap cpio
DEB_PACKAGES   := debhelper dh-apparmor dh-python dpkg-dev lintian python3-pip python3-venv
DEB_TESTS      := mmdebstrap
FUZZ_PACKAGES  := clang libclang-rt-dev llvm

# How many tests run side by side: those with namespaces have their own. Most wait most of the time: one more than cores.
JOBS   ?= $(shell expr $$(nproc) + 1)

SOURCES := setup.py pyproject.toml $(wildcard _fast/*.pyx _fast/*.pxd _fast/*.h)

.PHONY: build deb image test-deb test-arch demo test lint conformance bench clean distclean fuzz fuzz-ike asan man help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^## //p' Makefile

## build   install what is missing, create .venv, compile; afterwards .venv/bin/ipsec works
build: $(VENV)/.built

build/packages-build: Makefile .ci/packages
	@.ci/packages $(BUILD_PACKAGES) $(RUN_PACKAGES) -- $(BUILD_WANTED)
	@mkdir -p build && touch $@

build/packages-demo: Makefile .ci/packages
	@.ci/packages $(DEMO_PACKAGES)
	@mkdir -p build && touch $@

build/packages-fuzz: Makefile .ci/packages
	@.ci/packages $(FUZZ_PACKAGES)
	@mkdir -p build && touch $@

build/packages-test: Makefile .ci/packages .ci/unpack
	@.ci/packages $(DEMO_PACKAGES) $(TEST_PACKAGES) -- $(TEST_WANTED) $(PEER_PACKAGES)
	@.ci/unpack build/dns $(DNS_PACKAGES)
	@mkdir -p build && touch $@

build/packages-deb: Makefile .ci/packages
	@.ci/packages $(DEB_PACKAGES) $(DEB_TESTS) -- $(BUILD_WANTED)
	@mkdir -p build && touch $@

$(VENV)/.installed: pyproject.toml | build/packages-build
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python 3.11 or newer is needed" >&2; exit 1; }
	@echo "installing Python packages into $(VENV)"
	@$(PY) -m pip --disable-pip-version-check install -q 'setuptools>=77' wheel 'Cython>=3.0'
	@$(PY) -m pip --disable-pip-version-check install -q $$($(PY) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["test"])')
	@touch $@

$(VENV)/.built: $(SOURCES) | $(VENV)/.installed build/packages-build
	@echo "compiling the packet engine"
	@$(PY) setup.py -q build_ext --inplace -j $$(nproc) >build/compile.log 2>&1 || { cat build/compile.log; exit 1; }
	@OPENSWAN_ENGINE=compiled $(PY) -m pip --disable-pip-version-check install -q --no-build-isolation --no-deps -e . >build/install.log 2>&1 || { cat build/install.log; exit 1; }
	@$(PY) -m compileall -q openswan
	@touch $@

## demo    two gateways, a tunnel, what the wire saw, a killed daemon (root)
demo: build build/packages-demo
	@$(PY) -m tests.netns.demo

## test    everything: source, units, simulation, network namespaces, other implementations (root)
test: build build/packages-demo build/packages-test
	@$(PY) -m compileall -q openswan tests
	@$(VENV)/bin/pytest -n $(JOBS) --dist loadgroup $(TESTS) $(PYTEST_ARGS)

## lint    ruff and mypy
lint: build
	@$(VENV)/bin/ruff format --check openswan tests setup.py
	@$(VENV)/bin/ruff check openswan tests setup.py
	@$(VENV)/bin/mypy

## conformance  configurations of Openswan and libreswan, loaded unchanged: the figures (CONFIGS=DIRECTORY: of another tree)
conformance: build
	@$(PY) -m tests.conformance $(CONFIGS)

## bench   throughput against strongSwan, packets per second, loading; writes docs/BENCHMARKS.md figures to stdout (root)
bench: build build/packages-demo build/packages-test
	@$(PY) -m tests.bench

## fuzz    guided by coverage into every entry that sees packets, FUZZ_MINUTES each (default 1), FUZZ_TARGETS alone if
##         given, FUZZ_JOBS side by side (the cores); then random input into the IKE parsers and a running engine for FUZZ_SECONDS (default 60).
##         FUZZ_KEEP=keep writes the corpus back
fuzz: build build/packages-fuzz
	@$(PY) -m tests.fuzz.guided $${FUZZ_MINUTES:-1} $(FUZZ_KEEP) $(FUZZ_TARGETS)
	@$(PY) -m tests.fuzz $${FUZZ_SECONDS:-60}

## fuzz-ike  guided by coverage into every payload parser of both IKE versions and whole encrypted exchanges, FUZZ_MINUTES each
##         (default 15), FUZZ_TARGETS alone if given, FUZZ_JOBS side by side (the cores), at priority FUZZ_NICE (default 19)
fuzz-ike: build
	@$(PY) -c 'import atheris' 2>/dev/null || $(PY) -m pip --disable-pip-version-check install -q atheris
	@$(PY) -m tests.fuzz.ike $${FUZZ_MINUTES:-15} $(FUZZ_TARGETS)

## test-arch  the packet engine compiled for ARCH=arm64 or ARCH=s390x (big-endian), its tests and those of wire formats under
##         qemu-user (root); TESTS: these instead
test-arch: build
	@.ci/arch $(ARCH) $(TESTS)

## asan    tests of the packet engine, and the fuzzers' corpus, on a build that sees wrong memory and leaks
asan: build
	@$(PY) -m tests.fuzz.asan $(ASAN_TESTS)

## soak-X  the long run tests/soak/X.py
soak-%: build build/packages-demo build/packages-test
	@$(PY) -m tests.soak.$*

## deb     Debian packages, from what git has of this tree, into build/package; lintian has nothing to say
deb: build build/packages-deb
	@.ci/deb

## image   the root filesystem of a router that has the package, build/image/router.tar (root)
image: deb
	@.ci/image

## test-deb  the package in a bare Debian 12: eight lines, `ipsec setup start', traffic; upgraded, removed, purged; and the
##         router's image, booted: guard, network, traffic, watchdog (root)
test-deb: build build/packages-demo image
	@$(PY) -m tests.deb

## man     the generated part of the manual pages
man: build
	@$(PY) -m openswan.cli.ipsec readwriteconf --man >man/ipsec.conf.5
	@$(PY) -m openswan.cli.manpage man
	@$(PY) -m tests.test_documents
	@mkdir -p initscripts/bash-completion && $(PY) -m openswan.cli.completion >initscripts/bash-completion/ipsec

## clean   compiled files and caches; distclean takes .venv too
clean:
	rm -rf build dist *.egg-info _fast/*.so _fast/*.c .pytest_cache .mypy_cache .ruff_cache $(VENV)/.built
	find openswan _fast tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
