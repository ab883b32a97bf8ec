return {'queued'}
