"""The public API: joins probes, knowledge and diagnosis. No console, no exit."""

from __future__ import annotations
