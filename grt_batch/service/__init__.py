"""The service: uploads taken, questions answered, archives handed out over HTTP."""
