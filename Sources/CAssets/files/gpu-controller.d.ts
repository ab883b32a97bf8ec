// Types of the browser client.
