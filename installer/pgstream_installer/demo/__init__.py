"""`pgstream demo`: throw-away servers, a small shop, the real relay, and its events beside the SQL that made them."""
