"""What client, worker and replayer have to agree on, in one place, so that they cannot drift apart."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from temporalio.contrib.pydantic import PydanticPayloadConverter, ToJsonOptions
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.codec import Codec, codec_from
from workflows.inputs import InputCheckingRunner

PASSED_THROUGH = (
    "blueprint",
    "workflows.messages",
    "workflows.backup.messages",
    "pydantic",
    "pydantic_core",
    "yaml",
    "annotated_types",
)
"""Pure modules: loading them anew for every run would cost time and gain nothing."""


class _Converter(PydanticPayloadConverter):
    """Writes only what was set: histories of large environments stay small, and readable."""

    def __init__(self) -> None:
        super().__init__(ToJsonOptions(exclude_unset=True))


DATA_CONVERTER = dataclasses.replace(DataConverter.default, payload_converter_class=_Converter)


def _runner(existing: WorkflowRunner | None) -> WorkflowRunner:
    restrictions = SandboxRestrictions.default
    if isinstance(existing, SandboxedWorkflowRunner):
        restrictions = existing.restrictions
    elif existing:
        return existing
    return InputCheckingRunner(restrictions.with_passthrough_modules(*PASSED_THROUGH))


class EnginePlugin(SimplePlugin):
    """Given to `Client.connect`; workers made from that client, and replayers, take it over.

    Args:
        codec: encrypts what Temporal keeps; None takes what SCALEWAY_INFRA_CODEC_KEYS_FILE says, if anything.

    Raises:
        CodecKeysUnusable: that file is not there or says something else.
    """

    def __init__(self, codec: Codec | None = None) -> None:
        # Failures stay in clear text: the UI would show an operator "Encoded failure" where he needs the reason.
        converter = dataclasses.replace(DATA_CONVERTER, payload_codec=codec or codec_from())
        super().__init__("scaleway-infra", data_converter=converter, workflow_runner=_runner)


GRACE = timedelta(seconds=20)
"""How long a worker that is told to stop lets its activities go on."""
STICKY = timedelta(seconds=2)
"""How long the next task of a run waits for a worker that may be dead (Temporal: 10 s by default)."""
