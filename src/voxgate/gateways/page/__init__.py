"""The page at `GET /`: a conversation in the browser, as static files without a build."""
