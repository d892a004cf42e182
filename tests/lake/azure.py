"""Speaks to azurite as a client of Azure Blob Storage, with the emulator's well-known account.

    azure.py URL create CONTAINER
    azure.py URL fetch CONTAINER DIRECTORY      writes every blob into the directory
"""

import base64
import email.utils
import hashlib
import hmac
import os
import sys
import urllib.parse
import urllib.request
from xml.etree import ElementTree

ACCOUNT = "devstoreaccount1"
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def call(url, method, path, query=None):
    date = email.utils.formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": "2023-11-03"}
    canonical = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    resource = f"/{ACCOUNT}/{ACCOUNT}{path}"
    for name in sorted(query or {}):
        resource += f"\n{name}:{query[name]}"
    text = f"{method}\n\n\n\n\n\n\n\n\n\n\n\n{canonical}{resource}"
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    full = f"{url}/{ACCOUNT}{path}"
    if query:
        full += "?" + urllib.parse.urlencode(query)
    request = urllib.request.Request(full, method=method, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def names(url, container):
    """The names of all blobs, a page of the listing after the other."""
    query = {"comp": "list", "restype": "container"}
    while True:
        listing = ElementTree.fromstring(call(url, "GET", f"/{container}", query).decode("utf-8-sig"))
        yield from (name.text for name in listing.iter("Name"))
        query["marker"] = listing.findtext("NextMarker")
        if not query["marker"]:
            return


def main():
    url, command, container = sys.argv[1:4]
    if command == "create":
        call(url, "PUT", f"/{container}", {"restype": "container"})
        return
    for name in names(url, container):
        path = os.path.join(sys.argv[4], name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(call(url, "GET", f"/{container}/{urllib.parse.quote(name)}"))


main()
