"""Manifests: files or folders that name jobs, a row for each job. Rows are streamed, never all in memory."""

from __future__ import annotations

from opus_async.manifests.model import FILE_COLUMN, FOLDERS, Manifest, Record
from opus_async.manifests.open import open_manifest

__all__ = ["FILE_COLUMN", "FOLDERS", "Manifest", "Record", "open_manifest"]
