"""Load tests whose unit is the job. Knows ``platform.py``, and no platform.

What each module is for is in ``README.md``. The names below are loaded when first used.
"""

from __future__ import annotations
