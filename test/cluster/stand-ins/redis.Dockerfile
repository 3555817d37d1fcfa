# In place of redis:8 where nothing can be pulled.
FROM debian:bookworm-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["redis-server"]
