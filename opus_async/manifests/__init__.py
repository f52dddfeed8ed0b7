"""Manifests: what jobs a batch is to run, one row for each. Opened, streamed, never loaded whole."""

from __future__ import annotations

from opus_async.manifests.model import FILE_COLUMN, FOLDERS, Manifest, Record
from opus_async.manifests.open import open_manifest

__all__ = ["FILE_COLUMN", "FOLDERS", "Manifest", "Record", "open_manifest"]
