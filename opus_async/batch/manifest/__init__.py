"""Manifests: what jobs a batch is to run, one row for each. Opened, streamed, never loaded whole."""

from __future__ import annotations

from opus_async.batch.manifest.opening import open_manifest
from opus_async.batch.manifest.values import FILE_COLUMN, FOLDERS, Manifest, Record

__all__ = ["FILE_COLUMN", "FOLDERS", "Manifest", "Record", "open_manifest"]
