"""Sounds as files a media worker can play: fetched from customers' URLs, or spoken; cached on disk."""
