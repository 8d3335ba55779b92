#!/usr/bin/env bash
# Prepares one shard at its first start: the application's role and its database.
set -euo pipefail

psql --set=ON_ERROR_STOP=1 --set=password="$APP_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE app LOGIN CREATEDB PASSWORD :'password';
CREATE DATABASE shop OWNER app;
SQL
