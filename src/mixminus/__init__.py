"""mixminus: self-hosted multiparty calling with recordings that can be trusted."""

__version__ = "0.1.0"
