"""Inbound adapters, one package a protocol."""
