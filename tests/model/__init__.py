"""The claim-call-evidence protocol under every order of events that matters."""
