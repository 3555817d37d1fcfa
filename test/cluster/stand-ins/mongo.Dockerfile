# In place of mongo:8 where nothing can be pulled: the mongod that the other tests use.
FROM debian:bookworm-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libcurl4 && rm -rf /var/lib/apt/lists/* && mkdir -p /data/db
COPY mongod /usr/bin/mongod
ENTRYPOINT ["mongod"]
