"""Messaging and Queuing v1beta1: activation of SQS and SNS per project, their credentials, and NATS accounts."""

from __future__ import annotations

from emulator.products.mnq import activation, credentials, nats

PRODUCTS = [activation.product, credentials.product, nats.product]
