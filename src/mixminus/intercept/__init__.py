"""Sends a command's traffic for the vendor's hosts to this server: a local certificate authority, what makes languages
trust it, and an HTTPS proxy on loopback. Used by ``mixminus exec`` and ``mixminus serve --tls``.
"""
