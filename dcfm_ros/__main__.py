"""`python3 -m dcfm_ros` is the `dcfm` command."""

import sys

from dcfm_ros.cli import main

sys.exit(main())
