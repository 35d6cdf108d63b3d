"""Read by a Python that ``mixminus exec`` started (it is on its ``PYTHONPATH``); any Python 3.8 or newer.

The official Python SDK hands prepared requests to ``requests``, and for those ``requests`` asks neither HTTPS_PROXY
nor REQUESTS_CA_BUNDLE. Here it is made to ask them, as it does for all others; for the vendor's hosts alone.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_HOSTS = ("https://api.plivo.com/", "https://media.plivo.com/")


def _heed_environment(sessions):
    send = sessions.Session.send

    def send_by_environment(self, request, **kwargs):
        if self.trust_env and str(request.url).startswith(_HOSTS):
            given = (dict(kwargs.get("proxies") or {}), kwargs.get("stream"), kwargs.get("verify"), kwargs.get("cert"))
            kwargs.update(self.merge_environment_settings(request.url, *given))
        return send(self, request, **kwargs)

    sessions.Session.send = send_by_environment


class _Watch:
    """Waits on ``sys.meta_path`` for ``requests.sessions``, once."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "requests.sessions":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _heed_environment(module)

            spec.loader.exec_module = exec_module
        return spec


def _run_next():
    """The ``sitecustomize`` that this one stands before, if there is one."""
    path = [entry for entry in sys.path if Path(entry).resolve() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


sys.meta_path.insert(0, _Watch)
_run_next()
