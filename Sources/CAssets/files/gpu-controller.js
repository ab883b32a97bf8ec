// Browser client.
