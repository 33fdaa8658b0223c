# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# One Makefile for everything; new files are found by pattern. Products go to
# $(O), so that `make O=build/clang CC=clang-19` and the sanitised build live
# beside the plain one. `make help` lists what there is; V=1 shows commands.

VERSION     := 0.1.0
O           ?= build
PREFIX      ?= /usr/local
SYSCONFDIR  ?= /etc
UNITDIR     ?= $(PREFIX)/lib/systemd/system
CC           = gcc
BPF_CLANG   ?= clang-19
BPFTOOL     ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
PKG_CONFIG  ?= pkg-config
SCDOC       ?= scdoc
MULTIARCH   := $(shell gcc -print-multiarch 2>/dev/null)

ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-8s %s\n'
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

# ------------------------------------------------------------------ libraries

LIBRARIES := libbpf libuv yaml-0.1 jansson libmicrohttpd libcurl libmnl
ifneq ($(filter-out help clean install-deps,$(or $(MAKECMDGOALS),all)),)
  ifeq ($(shell $(PKG_CONFIG) --exists $(LIBRARIES) libxxhash && command -v $(BPF_CLANG) $(BPFTOOL) >/dev/null && echo yes),yes)
    LIBRARY_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(LIBRARIES))
    LIBRARY_LIBS   := $(shell $(PKG_CONFIG) --libs $(LIBRARIES))
  else
    DEPS_MISSING := 1
  endif
endif

# -------------------------------------------------------------------- flags

WARNINGS := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wvla \
	-Wno-missing-field-initializers
ifdef FUZZ
  OPTIMISE := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
  LDFLAGS  += -fsanitize=fuzzer,address,undefined
else ifdef SANITIZE
  OPTIMISE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
  LDFLAGS  += -fsanitize=address,undefined
else
  OPTIMISE := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
endif
CPPFLAGS += -D_GNU_SOURCE -DFL_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(O) $(LIBRARY_CFLAGS)
CFLAGS   += -std=gnu11 $(OPTIMISE) $(WARNINGS)
LDLIBS   += $(LIBRARY_LIBS) -lm

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -Iinclude -Ibpf \
	-idirafter /usr/include/$(MULTIARCH)

# ------------------------------------------------------------------ sources

BPF_SOURCES  := $(wildcard bpf/*.bpf.c)
SKELETONS    := $(BPF_SOURCES:bpf/%.bpf.c=$(O)/bpf/%.skel.h)
USER_SOURCES := $(wildcard user/*/*.c user/*/*/*.c)
USER_OBJECTS := $(USER_SOURCES:%.c=$(O)/%.o)
LIBRARY      := $(O)/libfairlead.a
PROGRAMS     := $(O)/fairleadd $(O)/fairlead
MAN_SOURCES  := $(wildcard user/man/*.scd)
MAN_PAGES    := $(MAN_SOURCES:user/man/%.scd=$(O)/man/%)

TEST_LIB_SOURCES := $(wildcard tests/lib/*.c)
UNIT_SOURCES     := $(wildcard tests/unit/*.c tests/unit/*/*.c)
BPF_TEST_SOURCES := $(wildcard tests/bpf/*.c tests/bpf/*/*.c)
BENCH_BPF        := $(wildcard tests/bench/*.bpf.c)
BENCH_SKELETONS  := $(BENCH_BPF:%.bpf.c=$(O)/%.skel.h)
BENCH_SOURCES    := $(filter-out $(BENCH_BPF),$(wildcard tests/bench/*.c))
FUZZERS          := $(patsubst tests/fuzz/fuzz_%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
TEST_OBJECTS     := $(patsubst %.c,$(O)/%.o,$(TEST_LIB_SOURCES) $(UNIT_SOURCES) $(BPF_TEST_SOURCES) $(BENCH_SOURCES))

.PHONY: all objects programs tests man
objects: $(USER_OBJECTS) $(patsubst %.c,$(O)/%.o,$(wildcard user/*.c)) $(TEST_OBJECTS) ## Compile everything, link nothing
all: programs man ## Build both programs and the man pages
programs: $(PROGRAMS)
tests: $(O)/tests/unit-tests $(O)/tests/bpf-tests ## Build the test programs of the C rings
fuzzers: $(FUZZERS)
man: $(MAN_PAGES)

ifdef DEPS_MISSING
$(info Missing, as Debian calls it: $(shell scripts/install-deps.sh -n build))
$(info On Debian: sudo scripts/install-deps.sh   (make test and make run call it themselves))
endif

# -------------------------------------------------------------------- rules

$(O)/%.bpf.o: %.bpf.c
	$(say) BPF $@
	@mkdir -p $(@D)
	$(Q)$(BPF_CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/%.skel.h: $(O)/%.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*) > $@

$(O)/%.o: %.c | $(SKELETONS)
	$(say) CC $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(TEST_OBJECTS): CPPFLAGS += -Itests
$(BENCH_SOURCES:%.c=$(O)/%.o): | $(BENCH_SKELETONS)
# Parts of the packet path, from their own source.
$(O)/tests/unit/packet/%.o: CPPFLAGS := -Itests/fuzz/shim -Ibpf $(CPPFLAGS)

$(LIBRARY): $(USER_OBJECTS)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/fairleadd $(O)/fairlead: $(O)/%: $(O)/user/%.o $(LIBRARY)
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/tests/unit-tests: $(UNIT_SOURCES:%.c=$(O)/%.o) $(TEST_LIB_SOURCES:%.c=$(O)/%.o) $(LIBRARY)
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcriterion -lssl -lcrypto $(LDLIBS)

$(O)/tests/bpf-tests: $(BPF_TEST_SOURCES:%.c=$(O)/%.o) $(TEST_LIB_SOURCES:%.c=$(O)/%.o) $(LIBRARY)
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcriterion -lssl -lcrypto $(LDLIBS)

# Fuzzers: built by `make FUZZ=1 O=build/fuzz CC=clang-19 fuzzers`. The programs' own
# sources are compiled for the host there: frames are not aligned, and callbacks have
# the types that the kernel calls them by. What stands in for the kernel and the
# world is fast rather than checked.
FUZZ_MODEL := $(patsubst %,$(O)/tests/fuzz/%.o,native world headers build)
FUZZ_EDGE  := $(patsubst %,$(O)/tests/fuzz/%.o,edge_native spec spec_slot spec_nat spec_icmp check)
$(O)/tests/fuzz/%.o: CPPFLAGS += -Itests
$(O)/tests/fuzz/native.o $(O)/tests/fuzz/world.o: OPTIMISE := -O2 -g
$(O)/tests/fuzz/native.o: CPPFLAGS += -Itests/fuzz/shim
$(O)/tests/fuzz/%_native.o: CPPFLAGS := -Itests/fuzz/shim -Ibpf $(CPPFLAGS)
$(O)/tests/fuzz/%_native.o: CFLAGS += -fno-strict-aliasing -fno-sanitize=alignment,function \
	-Wno-missing-prototypes
$(O)/fuzz/edge: $(FUZZ_MODEL) $(FUZZ_EDGE)
$(O)/fuzz/target: $(FUZZ_MODEL) $(O)/tests/fuzz/target_native.o
$(O)/fuzz/dns: $(O)/tests/lib/dns_text.o
$(O)/fuzz/%: $(O)/tests/fuzz/fuzz_%.o $(LIBRARY)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) $(LDLIBS)

$(O)/tests/bench/bench: $(BENCH_SOURCES:%.c=$(O)/%.o) $(LIBRARY)
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/man/%: user/man/%.scd
	$(say) MAN $@
	@mkdir -p $(@D)
	$(Q)$(SCDOC) < $< > $@

-include $(shell find $(O) -name '*.d' -not -path '$(O)/*/build/*' 2>/dev/null)

# ------------------------------------------------------------------ commands

.PHONY: run test test-unit test-bpf test-e2e test-peers test-kernels bench chaos fuzz fuzzers install uninstall install-deps format lint clean help

run: ## Build, bring up the lab and watch traffic being spread (CONFIG=FILE runs the agent here)
	$(Q)scripts/install-deps.sh build lab
	$(Q)$(MAKE) --no-print-directory programs
	$(Q)scripts/run

test: ## All rings: unit, bpf, e2e, and the sanitised ones
	$(Q)scripts/install-deps.sh build lab test
	$(Q)scripts/run-tests all

test-unit test-bpf test-e2e: test-%: ## One ring
	$(Q)scripts/run-tests $*

test-peers: ## Stories with real servers, here Consul (root; gets or builds what it needs)
	$(Q)scripts/install-deps.sh build lab test peers
	$(Q)scripts/run-tests peers

test-kernels: ## Programs and stories under Debian's 6.1 and 6.12, in qemu (root)
	$(Q)scripts/install-deps.sh build lab test kernels
	$(Q)$(MAKE) --no-print-directory programs tests
	$(Q)tests/kernels/run

bench: ## Measure the edge path beside yardsticks, and the agent (root; also build/bench.json)
	$(Q)scripts/install-deps.sh build bench
	$(Q)$(MAKE) --no-print-directory programs $(O)/tests/bench/bench
	$(Q)$(O)/tests/bench/bench --json $(O)/bench.json

chaos: ## Kill, pause and break things for minutes, and see what clients saw (root)
	$(Q)scripts/install-deps.sh build lab test
	$(Q)scripts/run-tests chaos

fuzz: ## Fuzz each target for FUZZ_SECONDS (60); findings end up in build/fuzz/findings
	$(Q)scripts/install-deps.sh build test
	$(Q)$(MAKE) --no-print-directory O=build/fuzz CC=clang-19 FUZZ=1 fuzzers
	$(Q)tests/fuzz/run

install-deps: ## Install what building and testing need (apt)
	$(Q)scripts/install-deps.sh build lab test

install: all ## Install below DESTDIR and PREFIX
	install -Dm755 $(O)/fairleadd $(DESTDIR)$(PREFIX)/sbin/fairleadd
	install -Dm755 $(O)/fairlead $(DESTDIR)$(PREFIX)/bin/fairlead
	for page in $(MAN_PAGES); do \
		install -Dm644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	install -Dm644 scripts/dist/fairlead.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/fairlead
	install -Dm644 scripts/dist/fairlead.yaml $(DESTDIR)$(PREFIX)/share/doc/fairlead/fairlead.yaml
	[ -e $(DESTDIR)$(SYSCONFDIR)/fairlead/fairlead.yaml ] || \
		install -Dm644 scripts/dist/fairlead.yaml $(DESTDIR)$(SYSCONFDIR)/fairlead/fairlead.yaml
	install -d $(DESTDIR)$(SYSCONFDIR)/fairlead/services.d $(DESTDIR)$(UNITDIR)
	sed 's|@SBINDIR@|$(PREFIX)/sbin|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' scripts/dist/fairleadd.service.in \
		> $(DESTDIR)$(UNITDIR)/fairleadd.service

uninstall: ## Remove what install laid down; the configuration stays
	rm -f $(DESTDIR)$(PREFIX)/sbin/fairleadd $(DESTDIR)$(PREFIX)/bin/fairlead
	for page in $(notdir $(MAN_PAGES)); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$page; done
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/fairlead $(DESTDIR)$(UNITDIR)/fairleadd.service
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/fairlead

FORMATTED = $(shell git ls-files '*.c' '*.h')
format: ## Lay out every C file by .clang-format
	$(Q)clang-format-19 -i $(FORMATTED)
lint: ## Say which files `make format` would change, and check shell scripts
	$(Q)clang-format-19 --dry-run -Werror $(FORMATTED)
	$(Q)for script in $(shell git grep -l '^\#!/bin/bash'); do bash -n $$script || exit 1; done

clean: ## Remove build/
	$(Q)rm -rf build

help: ## This list
	@awk -F':.*## ' '/^[a-z][a-z0-9 -]*:.*## /{ printf "  make %-32s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
