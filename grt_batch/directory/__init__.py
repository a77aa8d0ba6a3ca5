"""Who the owners of instances are: an LDAP server is asked for their names and addresses, and the answers are kept."""
