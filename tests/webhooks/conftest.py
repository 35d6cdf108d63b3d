from __future__ import annotations

from memory import tmp_path

__all__ = ["tmp_path"]
