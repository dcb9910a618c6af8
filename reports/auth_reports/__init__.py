"""Reports of a finished run: the JSON document, and one HTML page that a person wants to read.

Everything here is a rendering of `auth_conformance.model.Run`; nothing here judges. `writing.write` puts
files on disk, `plain_json.render` and `html.render` return text, `plugin` is the pytest plugin.
"""
