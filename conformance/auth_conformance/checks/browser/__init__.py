"""WEB: what browsers add. Origins, headers and requests that a page of somebody else can cause."""
