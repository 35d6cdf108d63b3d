"""Call-control XML: what its elements are (:mod:`elements`), how a document is read (:mod:`read`), and what becomes of
every attribute (:mod:`catalogue`). Pure.
"""

from mixminus.calls.document.attributes import InvalidDocument
from mixminus.calls.document.read import read_document

__all__ = ["InvalidDocument", "read_document"]
