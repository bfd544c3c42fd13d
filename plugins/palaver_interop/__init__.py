"""Turns from and for other programs: llm, ChatGPT, sacrebleu, lm-evaluation-harness, and chat fine-tuning."""

from __future__ import annotations

from palaver import Exporter, Importer, hookimpl


@hookimpl
def palaver_importers() -> list[Importer]:
    from palaver_interop.chatgpt import ChatGPT
    from palaver_interop.lines import SacrebleuFiles
    from palaver_interop.llm_logs import LlmLogs
    from palaver_interop.samples import LmEvalSamples

    return [LlmLogs(), ChatGPT(), SacrebleuFiles(), LmEvalSamples()]


@hookimpl
def palaver_exporters() -> list[Exporter]:
    from palaver_interop.lines import ReferenceLines, SourceLines
    from palaver_interop.messages import ChatMessages
    from palaver_interop.samples import LmEvalExport

    return [SourceLines(), ReferenceLines(), LmEvalExport(), ChatMessages()]
