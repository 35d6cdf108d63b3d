"""The REST API: the vendor's paths, fields and answers over the commands of :mod:`mixminus.calls` and the rows of
:mod:`mixminus.store`. :func:`mixminus.api.app.create_app` builds it from what it is handed.
"""
