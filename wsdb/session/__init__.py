"""Session: one statement in, one result out; the only conductor of the other rooms."""
