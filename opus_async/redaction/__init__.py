"""Masks secrets in texts that come from outside, however the texts are encoded.

What is quoted back to us was often written by several programs on its way: a URL inside JSON inside an HTML
page, wrapped, cut. So a text is first read as each of them would read it (percent-encoding, escapes of JSON,
character references of HTML, white space put in between, base64), with the place of every character kept, and
a secret is looked for there. Any ``RUN`` characters of it in a row are enough: a text can begin or end in the
middle of a secret.

Pure: no I/O, no clock. It runs over the texts of errors and audits, never over a successful response. A text
is masked before it is cut.
"""

from __future__ import annotations

from opus_async.redaction.masking import (
    LOOKED_AT,
    REMEMBERED,
    Mask,
    Redactor,
    Secrets,
    mask_signatures,
    mask_values,
)
from opus_async.redaction.secrets import (
    CALLBACK_LABEL,
    KEY_LABEL,
    RUN,
    Secret,
    callback_secret,
    presigned_secret,
    secret_text,
    whole_secret,
)

__all__ = [
    "CALLBACK_LABEL",
    "KEY_LABEL",
    "LOOKED_AT",
    "REMEMBERED",
    "RUN",
    "Mask",
    "Redactor",
    "Secret",
    "Secrets",
    "callback_secret",
    "mask_signatures",
    "mask_values",
    "presigned_secret",
    "secret_text",
    "whole_secret",
]
