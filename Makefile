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

# make demo
SOURCE ?= synthetic
LABELS ?=
RATE ?= 15
SECONDS ?=
ARGS ?=

# Either the ROS distribution which is sourced, or `wheels`: rclpy and the build tools then come from pip.
ROS := $(if $(and $(ROS_DISTRO),$(filter-out $(CURDIR)/%,$(subst :, ,$(AMENT_PREFIX_PATH)))),$(ROS_DISTRO),wheels)

READY := $(VENV)/.ready-$(ROS)
BUILT := install/.built
CHECKERS := $(VENV)/.checkers
# Nothing that make starts talks to other machines, unless asked to.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export VENV
ENV := source scripts/env.bash &&
# The value of a variable as one word for the shell, whatever is in it: quotes, signs of make or of the shell.
quoted = '$(subst ','\'',$(value $1))'
PIP := $(VENV)/bin/python -m pip install -qq --disable-pip-version-check

# Bytes in the paths with which ROS's message generators fail in the midst of the build: space, : ; $ # % quotes, umlauts.
UNUSABLE := $(shell printf %s '$(subst ','\'',$(CURDIR)$(VENV))' | LC_ALL=C tr -dc '[:space:]:;$$\043%"\\\047\200-\377' | wc -c)

.PHONY: help setup build demo check test soaks clean distclean usable docs docs-links

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(READY) ## virtual environment with everything from requirements/

build: $(BUILT) ## messages and package, into install/

demo: $(BUILT) ## segment a video over ROS topics; SOURCE= LABELS= RATE= SECONDS= ARGS=
	@$(ENV) dcfm demo --source=$(call quoted,SOURCE) $(if $(value LABELS),--labels=$(call quoted,LABELS)) \
	  --rate=$(call quoted,RATE) $(if $(value SECONDS),--seconds=$(call quoted,SECONDS)) --out out/demo $(ARGS)

# All but the soaks, in several processes at a time. PYTEST_ARGS with paths or names of tests run in one.
test: $(BUILT) ## all tests but the soaks; PYTEST_ARGS=
ifneq ($(findstring test/,$(PYTEST_ARGS)),)
	@$(ENV) pytest -q $(PYTEST_ARGS)
else
	@$(ENV) scripts/run_tests.py $(PYTEST_ARGS)
endif

soaks: $(BUILT) ## tests that take minutes each; every night
	@$(ENV) pytest -q -m nightly $(PYTEST_ARGS)

# Finds mistakes before the tests do. Ruff looks at everything, mypy at the package, with a cache in .mypy_cache. The
# hooks of pre-commit (.pre-commit-config.yaml) run the same programs.
SHELL_SCRIPTS := .ci/run $(wildcard scripts/*.bash scripts/*.sh scripts/studies/*.sh)
check: $(CHECKERS) ## format, lint, types, shell scripts, Dockerfile and workflows; no tests
	@$(ENV) ruff format --check --quiet . || { ruff format --diff --quiet .; echo "\`ruff format .\` does it"; exit 1; }
	@$(ENV) ruff check --quiet .
	@$(ENV) shellcheck --external-sources --source-path=SCRIPTDIR $(SHELL_SCRIPTS)
	@$(ENV) hadolint Dockerfile
	@$(ENV) if command -v actionlint >/dev/null; then actionlint; else echo "no actionlint here: workflows are left out"; fi
	@$(ENV) mypy

docs: $(BUILT) $(VENV)/.docs ## documentation, into out/docs
	@$(ENV) sphinx-build -q -W --keep-going -b html docs out/docs && echo "out/docs/index.html"

docs-links: $(BUILT) $(VENV)/.docs ## ask for every external address in the documentation
	@$(ENV) sphinx-build -q -W --keep-going -b linkcheck docs out/docs-links

$(VENV)/.docs: $(READY) requirements/docs.txt
	@$(PIP) -r requirements/docs.txt
	@touch $@

clean: ## remove what was built and recorded
	rm -rf build install log out

distclean: clean ## also remove the virtual environment
	rm -rf $(VENV)

usable:
	$(if $(filter-out 0,$(UNUSABLE)),$(error ROS cannot be built in "$(CURDIR)" with VENV="$(VENV)": its message generators \
	  take no space, umlaut, quote, or any of : ; $$ # % in a path; move it elsewhere))

# A stamp of another kind, or none: the environment is of no use, nor is what was built with it.
$(READY): $(filter-out requirements/check.txt requirements/docs.txt,$(wildcard requirements/*.txt)) | usable
	@$(PYTHON) -c 'import sys; sys.version_info[:2] in [(3, n) for n in range(10, 14)] or sys.exit( \
	  f"dcfm_ros needs Python 3.10 to 3.13, but {sys.executable} is {sys.version}: try make PYTHON=python3.12")'
	@if [ ! -f $@ ]; then \
	  echo "Creating $(VENV) ($(ROS)) and installing requirements/: a few minutes, once"; \
	  rm -rf build install log; \
	  $(PYTHON) -m venv --clear $(if $(filter-out wheels,$(ROS)),--system-site-packages) $(VENV); \
	  touch $(VENV)/COLCON_IGNORE; \
	fi
	@TORCH_INDEX=$(call quoted,TORCH_INDEX) scripts/install_torch.bash $(PYTORCH_INDEXES) $(PIP)
ifeq ($(ROS),wheels)
	@$(PIP) -r requirements/core.txt -r requirements/ros.txt -r requirements/test.txt
else
	@# cv_bridge is compiled against the distribution's NumPy, so that must not be shadowed by another.
	@$(VENV)/bin/python -c 'import numpy; print("numpy==" + numpy.__version__)' > $(VENV)/constraints.txt
	@$(PIP) -r requirements/core.txt -c $(VENV)/constraints.txt
	@# The distribution's command is bound to the system's Python, which has no PyTorch.
	@printf '#!%s\nimport pytest\nraise SystemExit(pytest.main())\n' \
	  "$(abspath $(VENV))/bin/python" > $(VENV)/bin/pytest; chmod +x $(VENV)/bin/pytest
endif
	@$(PIP) --no-deps -r requirements/data.txt
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
