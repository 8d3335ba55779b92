import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.*;
import java.util.concurrent.*;
import javax.sql.XAConnection;
import javax.transaction.xa.XAException;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.xa.PGXADataSource;

/** pgjdbc: the features of the driver matrix, in every mode of its settings that changes what it sends. */
public class Matrix {
    interface Feature {
        void run() throws Exception;
    }

    static final String NAME = "SELECT name FROM accounts WHERE account_id = ?";
    static final boolean SHARDED = "sharded".equals(System.getenv("SIDE"));
    static final String[] MODES = {
        "prepareThreshold=1", "prepareThreshold=5", "prepareThreshold=-1", "prepareThreshold=0",
        "autosave=always&prepareThreshold=1", "preferQueryMode=simple", "preferQueryMode=extendedForPrepared",
        "preferQueryMode=extendedCacheEverything", "binaryTransfer=false", "defaultRowFetchSize=7",
        "reWriteBatchedInserts=true",
    };

    static String url(String options) {
        Map<String, String> e = System.getenv();
        return "jdbc:postgresql://" + e.get("PGHOST") + ":" + e.get("PGPORT") + "/" + e.get("PGDATABASE") + "?user="
            + e.get("PGUSER") + "&password=" + e.get("PGPASSWORD") + "&sslmode=disable&socketTimeout=60&" + options;
    }

    static Connection connect(String... options) throws SQLException {
        return DriverManager.getConnection(url(String.join("&", options)));
    }

    static Connection transacting(String... options) throws SQLException {
        Connection connection = connect(options);
        connection.setAutoCommit(false);
        return connection;
    }

    static void expect(Object seen, Object wanted) {
        if (!Objects.deepEquals(seen, wanted)) {
            throw new AssertionError(text(seen) + " instead of " + text(wanted));
        }
    }

    static String text(Object value) {
        String text = value instanceof Object[] ? Arrays.deepToString((Object[]) value) : String.valueOf(value);
        return text.length() > 200 ? text.substring(0, 200) : text;
    }

    static void raises(String state, Feature work) throws Exception {
        try {
            work.run();
        } catch (SQLException error) {
            if (!state.equals(error.getSQLState())) throw error;
            return;
        }
        throw new AssertionError("no error " + state);
    }

    static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** Returns the first column of the rows. */
    static List<Object> column(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            List<Object> rows = new ArrayList<>();
            try (ResultSet result = statement.executeQuery()) {
                while (result.next()) rows.add(result.getObject(1));
            }
            return rows;
        }
    }

    static Object one(Connection connection, String sql, Object... values) throws SQLException {
        List<Object> rows = column(connection, sql, values);
        expect(rows.size(), 1);
        return rows.get(0);
    }

    static int change(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
            return statement.executeUpdate();
        }
    }

    static void simple() throws Exception {
        try (Connection connection = connect("preferQueryMode=simple"); Statement statement = connection.createStatement()) {
            expect(statement.execute("SELECT 1; SELECT 'two'; UPDATE accounts SET balance = 1 WHERE account_id = 3"), true);
            expect(statement.getMoreResults(), true);
            ResultSet two = statement.getResultSet();
            two.next();
            expect(two.getString(1), "two");
            expect(statement.getMoreResults(), false);
            expect(statement.getUpdateCount(), 1);
            expect(one(connection, NAME, 4L), "name 4");
            statement.execute("");
        }
    }

    static void extended() throws Exception {
        for (String mode : MODES) {
            try (Connection connection = connect(mode);
                    PreparedStatement statement = connection.prepareStatement("SELECT account_id, name FROM accounts WHERE account_id = ?")) {
                expect(statement.getParameterMetaData().getParameterTypeName(1), "int8");
                expect(statement.getMetaData().getColumnTypeName(2), "text");
                statement.setLong(1, 7);
                ResultSet rows = statement.executeQuery();
                rows.next();
                expect(rows.getLong(1) + rows.getString(2), "7name 7");
                try (Statement several = connection.createStatement()) {
                    expect(several.execute("SELECT 1; SELECT 2"), true);
                    expect(several.getMoreResults(), true);
                }
                // A key as int4 and as text-ish number.
                expect(one(connection, NAME, 8), "name 8");
                expect(column(connection, "SELECT count(*) FROM accounts WHERE account_id = ANY (?)",
                    connection.createArrayOf("bigint", new Long[] {1L, 2L, 3L})), List.of(3L));
            }
        }
    }

    static void prepared() throws Exception {
        for (String mode : MODES) {
            try (Connection connection = connect(mode, "preparedStatementCacheQueries=10");
                    PreparedStatement read = connection.prepareStatement(NAME);
                    PreparedStatement write = connection.prepareStatement("UPDATE accounts SET balance = balance + ? WHERE account_id = ?")) {
                for (long key = 1; key <= 30; key++) {
                    connection.setAutoCommit(key % 2 == 0);
                    read.setLong(1, key);
                    ResultSet rows = read.executeQuery();
                    rows.next();
                    expect(rows.getString(1), "name " + key);
                    write.setBigDecimal(1, BigDecimal.ONE);
                    write.setLong(2, key);
                    expect(write.executeUpdate(), 1);
                    if (key % 2 == 1) connection.commit();
                    expect(one(connection, "SELECT " + key + " + 0 FROM accounts WHERE account_id = ?", key), (int) key);
                    if (!connection.getAutoCommit()) connection.commit();
                }
            }
        }
    }

    static void binary() throws Exception {
        try (Connection connection = connect("prepareThreshold=-1")) {
            for (int turn = 0; turn < 3; turn++) {
                try (PreparedStatement statement = connection.prepareStatement(
                        "SELECT event_id, label, ?::float8, ?::int2, ?::date, ?::uuid FROM events WHERE event_id <= 20 ORDER BY event_id")) {
                    UUID uuid = new UUID(1, 2);
                    statement.setDouble(1, 0.1);
                    statement.setShort(2, (short) -3);
                    statement.setDate(3, java.sql.Date.valueOf("2026-02-28"));
                    statement.setObject(4, uuid);
                    ResultSet rows = statement.executeQuery();
                    for (long key = 1; rows.next(); key++) {
                        expect(List.of(rows.getLong(1), rows.getString(2), rows.getDouble(3), rows.getShort(4), rows.getObject(6)),
                            List.of(key, "event " + key, 0.1, (short) -3, uuid));
                    }
                }
            }
        }
    }

    static long next = 1000;

    /** Writes and reads a value in every mode. */
    static void value(String column, Object value, Class<?> as, String sqlType) throws Exception {
        for (String mode : MODES) {
            try (Connection connection = connect(mode)) {
                for (int turn = 0; turn < 2; turn++) {
                    long key = next++;
                    String mark = column.equals("doc") ? "?::jsonb" : "?";
                    Object bound = value instanceof Object[] ? connection.createArrayOf(sqlType, (Object[]) value) : value;
                    change(connection, "INSERT INTO accounts (account_id, " + column + ") VALUES (?, " + mark + ")", key, bound);
                    try (PreparedStatement read = connection.prepareStatement("SELECT " + column + " FROM accounts WHERE account_id = ?")) {
                        read.setLong(1, key);
                        ResultSet rows = read.executeQuery();
                        rows.next();
                        Object seen = value instanceof Object[] ? rows.getArray(1).getArray()
                            : as == byte[].class ? rows.getBytes(1) : rows.getObject(1, as);
                        expect(seen, value);
                    }
                }
            }
        }
    }

    static void nulls() throws Exception {
        try (Connection connection = connect(); PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO accounts (account_id, name, balance, payload) VALUES (?, ?, ?, ?)")) {
            long key = next++;
            insert.setLong(1, key);
            insert.setNull(2, Types.VARCHAR);
            insert.setNull(3, Types.NUMERIC);
            insert.setBytes(4, null);
            expect(insert.executeUpdate(), 1);
            expect(Collections.singletonList(null), column(connection, NAME, key));
            expect(column(connection, "SELECT name FROM accounts WHERE account_id = ?", new Object[] {null}), List.of());
        }
        value("name", "", String.class, null);
    }

    static void arrays() throws Exception {
        value("tags", new String[] {"a", "b\"c", "d,e", "{f}", "\\", null, "NULL"}, null, "text");
        value("numbers", new Integer[] {1, -2, null, Integer.MAX_VALUE}, null, "int4");
        value("tags", new String[0], null, "text");
    }

    static void numeric() throws Exception {
        for (String number : List.of("0.01", "-9999999999.99", "12.50")) {
            value("balance", new BigDecimal(number), BigDecimal.class, null);
        }
    }

    static void timestamptz() throws Exception {
        OffsetDateTime moment = OffsetDateTime.of(2026, 2, 28, 23, 59, 59, 999_999_000, ZoneOffset.UTC);
        value("opened", moment, OffsetDateTime.class, null);
    }

    static void bytea() throws Exception {
        byte[] all = new byte[70_000];
        for (int i = 0; i < all.length; i++) all[i] = (byte) i;
        value("payload", all, byte[].class, null);
        value("payload", new byte[0], byte[].class, null);
    }

    static void json() throws Exception {
        value("doc", "{\"a\": [1, null, \"ü\"]}", String.class, null);
    }

    static void errors() throws Exception {
        for (String mode : MODES) {
            try (Connection connection = connect(mode)) {
                for (int turn = 0; turn < 3; turn++) {
                    raises("23505", () -> change(connection, "INSERT INTO accounts (account_id) VALUES (?)", 1L));
                    raises("42P01", () -> one(connection, "SELECT * FROM missing"));
                    raises("42601", () -> one(connection, "SELEC 1"));
                    raises("22012", () -> one(connection, "SELECT 1 / ?", 0));
                    expect(one(connection, NAME, 1L), "name 1");
                }
                connection.setAutoCommit(false);
                raises("22012", () -> one(connection, "SELECT 1 / 0"));
                if (mode.startsWith("autosave")) {
                    expect(one(connection, NAME, 1L), "name 1");
                } else {
                    raises("25P02", () -> one(connection, NAME, 1L));
                }
                connection.rollback();
                expect(one(connection, NAME, 1L), "name 1");
                connection.rollback();
            }
        }
        try (Connection connection = connect()) {
            change(connection, "INSERT INTO accounts (account_id) VALUES (1)");
        } catch (PSQLException error) {
            expect(error.getServerErrorMessage().getConstraint(), "accounts_pkey");
        }
    }

    static void notices() throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'world'; END $$");
            SQLWarning first = statement.getWarnings();
            expect(first.getMessage() + first.getNextWarning().getMessage(), "helloworld");
        }
    }

    static void transactions() throws Exception {
        for (String mode : MODES) {
            try (Connection connection = transacting(mode); Connection other = connect(mode)) {
                expect(change(connection, "INSERT INTO accounts (account_id, name) VALUES (2001, 'new'), (2002, 'new'), (2003, 'new')"), 3);
                expect(column(other, NAME, 2001L), List.of());
                connection.commit();
                expect(one(other, NAME, 2003L), "new");
                expect(change(connection, "DELETE FROM accounts WHERE account_id IN (?, ?, ?)", 2001L, 2002L, 2003L), 3);
                connection.rollback();
                expect(one(connection, NAME, 2002L), "new");
                expect(change(connection, "DELETE FROM accounts WHERE account_id IN (?, ?, ?)", 2001L, 2002L, 2003L), 3);
                connection.commit();
                connection.setReadOnly(true);
                raises("25006", () -> change(connection, "DELETE FROM accounts WHERE account_id = 1"));
                connection.rollback();
            }
        }
    }

    static void savepoints() throws Exception {
        for (String mode : MODES) {
            try (Connection connection = transacting(mode)) {
                change(connection, "INSERT INTO accounts (account_id, name) VALUES (2101, 'kept')");
                Savepoint savepoint = connection.setSavepoint();
                change(connection, "INSERT INTO accounts (account_id, name) VALUES (2102, 'undone')");
                raises("23505", () -> change(connection, "INSERT INTO accounts (account_id) VALUES (2101)"));
                connection.rollback(savepoint);
                Savepoint named = connection.setSavepoint("named");
                change(connection, "UPDATE accounts SET balance = 1 WHERE account_id = 2101");
                connection.releaseSavepoint(named);
                expect(column(connection, "SELECT account_id FROM accounts WHERE account_id IN (2101, 2102)"), List.of(2101L));
                connection.rollback();
            }
        }
    }

    static void isolation() throws Exception {
        try (Connection connection = transacting(); Connection other = connect()) {
            for (int level : List.of(Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE)) {
                connection.setTransactionIsolation(level);
                expect(connection.getTransactionIsolation(), level);
                Object before = one(connection, NAME, 61L);
                change(other, "UPDATE accounts SET name = ? WHERE account_id = 61", "level " + level);
                expect(one(connection, NAME, 61L).equals(before), level != Connection.TRANSACTION_READ_COMMITTED);
                connection.commit();
            }
        }
    }

    static void batch() throws Exception {
        for (String mode : MODES) {
            try (Connection connection = transacting(mode);
                    PreparedStatement insert = connection.prepareStatement("INSERT INTO accounts (account_id, name) VALUES (?, ?)")) {
                for (int turn = 0; turn < 2; turn++) {
                    for (long key = 2200; key < 2500; key++) {
                        insert.setLong(1, key + 300 * turn);
                        insert.setString(2, "row " + key);
                        insert.addBatch();
                    }
                    expect(insert.executeBatch().length, 300);
                }
                expect(one(connection, "SELECT count(*) FROM accounts WHERE name LIKE 'row %'"), 600L);
                try (Statement several = connection.createStatement()) {
                    several.addBatch("UPDATE accounts SET balance = 1 WHERE account_id = 2200");
                    several.addBatch("UPDATE accounts SET balance = 2 WHERE account_id = 2201");
                    several.addBatch("DELETE FROM accounts WHERE account_id = 2202");
                    expect(several.executeBatch(), new int[] {1, 1, 1});
                }
                connection.rollback();
            }
        }
    }

    static void batchError() throws Exception {
        for (String mode : MODES) {
            for (boolean auto : new boolean[] {true, false}) {
                try (Connection connection = connect(mode); PreparedStatement insert = connection.prepareStatement(
                        "INSERT INTO accounts (account_id, name) VALUES (?, 'half')")) {
                    connection.setAutoCommit(auto);
                    for (long key : new long[] {2801, 2802, 1, 2803}) {
                        insert.setLong(1, key);
                        insert.addBatch();
                    }
                    try {
                        insert.executeBatch();
                        throw new AssertionError("no error");
                    } catch (BatchUpdateException error) {
                        expect(error.getSQLState(), "23505");
                    }
                    if (!auto) connection.rollback();
                    // As PostgreSQL: all or nothing between two Syncs.
                    expect(column(connection, "SELECT account_id FROM accounts WHERE name = 'half'"), List.of());
                    if (!auto) connection.commit();
                }
            }
        }
    }

    static void fetchSize() throws Exception {
        for (String mode : MODES) {
            if (mode.contains("simple")) continue;
            try (Connection connection = transacting(mode); PreparedStatement read = connection.prepareStatement(
                    "SELECT event_id, label FROM events WHERE event_id > ? ORDER BY event_id")) {
                for (int size : new int[] {100, 999}) {
                    read.setFetchSize(size);
                    read.setLong(1, 9_000 - size);
                    ResultSet rows = read.executeQuery();
                    long key = 9_000 - size;
                    while (rows.next()) expect(rows.getLong(1), ++key);
                    expect(key, 10_000L);
                }
                // Closed half-way, with another statement in between.
                read.setFetchSize(10);
                read.setLong(1, 0);
                ResultSet rows = read.executeQuery();
                for (long key = 1; key <= 25; key++) {
                    rows.next();
                    expect(rows.getLong(1), key);
                    expect(one(connection, NAME, key), "name " + key);
                }
                rows.close();
                connection.commit();
            }
        }
    }

    static void serverCursor() throws Exception {
        try (Connection connection = transacting()) {
            execute(connection, "DECLARE walk SCROLL CURSOR FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1");
            expect(column(connection, "FETCH 3 FROM walk"), List.of(1L, 2L, 3L));
            expect(column(connection, "FETCH BACKWARD 1 FROM walk"), List.of(2L));
            execute(connection, "MOVE 10 FROM walk");
            expect(column(connection, "FETCH walk"), List.of(13L));
            execute(connection, "CLOSE walk");
            connection.commit();
        }
    }

    static void holdCursor() throws Exception {
        try (Connection connection = transacting(); Statement read = connection.createStatement(
                ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, ResultSet.HOLD_CURSORS_OVER_COMMIT)) {
            execute(connection, "DECLARE kept CURSOR WITH HOLD FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1");
            connection.commit();
            expect(column(connection, "FETCH 2 FROM kept"), List.of(1L, 2L));
            execute(connection, "CLOSE kept");
            connection.commit();
        }
    }

    static void copyIn() throws Exception {
        try (Connection connection = transacting()) {
            StringBuilder rows = new StringBuilder();
            for (int key = 3000; key < 3500; key++) rows.append(key).append("\ttab\\there\t").append(key).append('\n');
            long count = connection.unwrap(PGConnection.class).getCopyAPI()
                .copyIn("COPY accounts (account_id, name, balance) FROM STDIN", new StringReader(rows.toString()));
            expect(count, 500L);
            connection.commit();
            expect(one(connection, "SELECT count(*) FROM accounts WHERE name = ?", "tab\there"), 500L);
        }
    }

    static void copyOut() throws Exception {
        try (Connection connection = connect()) {
            StringWriter out = new StringWriter();
            connection.unwrap(PGConnection.class).getCopyAPI()
                .copyOut("COPY (SELECT n, 'x' FROM generate_series(1, 3) n) TO STDOUT", out);
            expect(out.toString(), "1\tx\n2\tx\n3\tx\n");
            expect(connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY events TO STDOUT", new StringWriter()), 10_000L);
        }
    }

    static void copyFail() throws Exception {
        try (Connection connection = transacting()) {
            var copy = connection.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY accounts (account_id, name) FROM STDIN");
            byte[] row = "3600\tnever\n".getBytes();
            copy.writeToCopy(row, 0, row.length);
            copy.cancelCopy();
            connection.rollback();
            raises("23505", () -> connection.unwrap(PGConnection.class).getCopyAPI()
                .copyIn("COPY accounts (account_id, name) FROM STDIN", new StringReader("3601\tnever\n1\ttwice\n")));
            connection.rollback();
            expect(column(connection, "SELECT name FROM accounts WHERE name = 'never'"), List.of());
        }
    }

    static void listen() throws Exception {
        try (Connection connection = connect(); Connection other = connect()) {
            execute(connection, "LISTEN news");
            execute(other, "NOTIFY news, 'first'");
            List<String> seen = new ArrayList<>();
            for (int turn = 0; turn < 20 && seen.isEmpty(); turn++) {
                PGNotification[] all = connection.unwrap(PGConnection.class).getNotifications(1000);
                if (all != null) for (PGNotification each : all) seen.add(each.getParameter());
            }
            expect(seen, List.of("first"));
        }
    }

    static void cancel() throws Exception {
        try (Connection connection = connect(); Statement sleep = connection.createStatement()) {
            ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor();
            later.scheduleWithFixedDelay(() -> { try { sleep.cancel(); } catch (SQLException ignored) { } }, 50, 50, TimeUnit.MILLISECONDS);
            raises("57014", () -> sleep.execute("SELECT pg_sleep(30)"));
            later.shutdown();
            later.awaitTermination(10, TimeUnit.SECONDS);
            expect(one(connection, NAME, 1L), "name 1");
        }
    }

    static void timeout() throws Exception {
        try (Connection connection = connect(); Statement sleep = connection.createStatement()) {
            sleep.setQueryTimeout(1);
            raises("57014", () -> sleep.execute("SELECT pg_sleep(30)"));
            sleep.setQueryTimeout(0);
            execute(connection, "SET statement_timeout = '100ms'");
            raises("57014", () -> sleep.execute("SELECT pg_sleep(30)"));
            execute(connection, "RESET statement_timeout");
            expect(one(connection, NAME, 1L), "name 1");
        }
    }

    static void setReset() throws Exception {
        try (Connection connection = connect("options=-c%20work_mem=5MB", "ApplicationName=matrix")) {
            expect(one(connection, "SHOW work_mem"), "5MB");
            execute(connection, "SET work_mem = '6MB'");
            for (int turn = 0; turn < 8; turn++) expect(one(connection, "SHOW work_mem"), "6MB");
            execute(connection, "RESET work_mem");
            expect(one(connection, "SHOW work_mem"), "5MB");
            expect(one(connection, "SHOW application_name"), "matrix");
            connection.setClientInfo("ApplicationName", "other");
            expect(one(connection, "SHOW application_name"), "other");
            expect(connection.getSchema(), "public");
            execute(connection, "SET TIME ZONE 'Asia/Kolkata'");
            expect(one(connection, "SHOW TimeZone"), "Asia/Kolkata");
            execute(connection, "DISCARD ALL");
            expect(one(connection, "SHOW work_mem"), "5MB");
            expect(connection.isValid(5), true);
        }
    }

    static void largeRow() throws Exception {
        String large = "ü".repeat(500_000) + "end";
        try (Connection connection = connect()) {
            change(connection, "INSERT INTO accounts (account_id, name, payload) VALUES (4001, ?, ?)", large, new byte[1_000_000]);
            for (int turn = 0; turn < 7; turn++) expect(one(connection, NAME, 4001L).equals(large), true);
            expect(((byte[]) one(connection, "SELECT payload FROM accounts WHERE account_id = 4001")).length, 1_000_000);
        }
    }

    static void manyRows() throws Exception {
        for (String mode : List.of("prepareThreshold=1", "preferQueryMode=simple")) {
            try (Connection connection = connect(mode)) {
                for (int turn = 0; turn < 2; turn++) {
                    List<Object> keys = column(connection, "SELECT event_id FROM events ORDER BY event_id");
                    expect(List.of(keys.size(), keys.get(9_999)), List.of(10_000, 10_000L));
                }
            }
        }
    }

    static void pool() throws Exception {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(url("prepareThreshold=1"));
        config.setMaximumPoolSize(4);
        try (HikariDataSource source = new HikariDataSource(config)) {
            ExecutorService threads = Executors.newFixedThreadPool(8);
            List<Future<Object>> all = new ArrayList<>();
            for (long key = 1; key <= 100; key++) {
                final long mine = key;
                all.add(threads.submit(() -> {
                    try (Connection connection = source.getConnection()) {
                        connection.setAutoCommit(mine % 3 == 0);
                        Object name = one(connection, "SELECT account_id FROM accounts WHERE account_id = ?", mine);
                        if (mine % 3 != 0) connection.commit();
                        return name;
                    }
                }));
            }
            for (int index = 0; index < all.size(); index++) expect(all.get(index).get(), index + 1L);
            threads.shutdown();
        }
    }

    static void ddl() throws Exception {
        try (Connection setup = connect()) {
            change(setup, "INSERT INTO shapes (shape_id, name) VALUES (1, 'square')");
        }
        for (String mode : List.of("prepareThreshold=1", "prepareThreshold=-1", "prepareThreshold=5", "autosave=always&prepareThreshold=1")) {
            try (Connection connection = connect(mode); Connection other = connect();
                    PreparedStatement every = connection.prepareStatement("SELECT * FROM shapes WHERE shape_id = ?");
                    PreparedStatement named = connection.prepareStatement("SELECT name FROM shapes WHERE shape_id = ?")) {
                for (int columns : new int[] {2, 2, 2, 3, 3, 2}) {
                    every.setLong(1, 1);
                    named.setLong(1, 1);
                    ResultSet rows = named.executeQuery();
                    rows.next();
                    expect(rows.getString(1), "square");
                    rows = every.executeQuery();
                    rows.next();
                    expect(rows.getString(2), "square");
                    if (columns == 2 && rows.getMetaData().getColumnCount() == 2) {
                        execute(other, "ALTER TABLE shapes ADD COLUMN sides int DEFAULT 4");
                    } else {
                        execute(other, "ALTER TABLE shapes DROP COLUMN IF EXISTS sides");
                    }
                }
                execute(other, "ALTER TABLE shapes DROP COLUMN IF EXISTS sides");
            }
        }
    }

    static void returning() throws Exception {
        for (String mode : MODES) {
            try (Connection connection = connect(mode)) {
                try (PreparedStatement insert = connection.prepareStatement(
                        "INSERT INTO entries (account_id, note) VALUES (?, ?)", new String[] {"entry_id"})) {
                    insert.setLong(1, 6);
                    insert.setString(2, "a");
                    expect(insert.executeUpdate(), 1);
                    ResultSet keys = insert.getGeneratedKeys();
                    keys.next();
                    expect(keys.getLong(1) > 50, true);
                    for (long key = 1; key <= 10; key++) {
                        insert.setLong(1, key);
                        insert.setString(2, "b");
                        insert.addBatch();
                    }
                    insert.executeBatch();
                    Set<Long> made = new HashSet<>();
                    for (keys = insert.getGeneratedKeys(); keys.next(); ) made.add(keys.getLong(1));
                    expect(made.size(), 10);
                }
                try (Statement insert = connection.createStatement()) {
                    insert.executeUpdate("INSERT INTO entries (account_id, note) VALUES (1, 'c'), (2, 'd')", Statement.RETURN_GENERATED_KEYS);
                    ResultSet keys = insert.getGeneratedKeys();
                    keys.next();
                    expect(keys.getString("note"), "c");
                }
                expect(one(connection, "UPDATE accounts SET balance = 5 WHERE account_id = 9 RETURNING balance"), new BigDecimal("5.00"));
            }
        }
    }

    record Branch(String name) implements Xid {
        public int getFormatId() { return 1; }
        public byte[] getGlobalTransactionId() { return name.getBytes(); }
        public byte[] getBranchQualifier() { return "branch".getBytes(); }
    }

    static void twoPhase() throws Exception {
        PGXADataSource source = new PGXADataSource();
        source.setUrl(url("prepareThreshold=1"));
        XAConnection connection = source.getXAConnection();
        try {
            XAResource resource = connection.getXAResource();
            for (boolean commits : new boolean[] {true, false}) {
                Xid xid = new Branch("matrix-jdbc-" + commits + System.nanoTime());
                resource.start(xid, XAResource.TMNOFLAGS);
                change(connection.getConnection(), "INSERT INTO accounts (account_id, name) VALUES (?, 'xa')", commits ? 5001L : 5002L);
                resource.end(xid, XAResource.TMSUCCESS);
                expect(resource.prepare(xid), XAResource.XA_OK);
                expect(Arrays.stream(resource.recover(XAResource.TMSTARTRSCAN)).anyMatch(each ->
                    Arrays.equals(each.getGlobalTransactionId(), xid.getGlobalTransactionId())), true);
                if (commits) resource.commit(xid, false); else resource.rollback(xid);
            }
            expect(column(connection.getConnection(), "SELECT account_id FROM accounts WHERE name = 'xa'"), List.of(5001L));
        } catch (XAException error) {
            if (error.getCause() instanceof SQLException cause) throw cause;
            throw error;
        } finally {
            connection.close();
        }
    }

    static void describe() throws Exception {
        try (Connection connection = connect()) {
            DatabaseMetaData data = connection.getMetaData();
            List<String> columns = new ArrayList<>();
            for (ResultSet rows = data.getColumns(null, "public", "entries", null); rows.next(); ) columns.add(rows.getString("COLUMN_NAME"));
            expect(columns, List.of("entry_id", "account_id", "note"));
            Set<String> keys = new TreeSet<>();
            for (ResultSet rows = data.getPrimaryKeys(null, "public", "entries"); rows.next(); ) keys.add(rows.getString("COLUMN_NAME"));
            expect(keys, Set.of("account_id", "entry_id"));
            for (ResultSet rows = data.getTables(null, "public", "accounts", new String[] {"TABLE"}); rows.next(); ) return;
            throw new AssertionError("no table");
        }
    }

    static void say(String name, Feature feature) {
        String outcome = "ok";
        try {
            feature.run();
        } catch (Throwable error) {
            String state = error instanceof SQLException e ? e.getSQLState() : null;
            StringBuilder lines = new StringBuilder();
            for (StackTraceElement frame : error.getStackTrace()) if (frame.getClassName().equals("Matrix")) lines.append(' ').append(frame.getLineNumber());
            outcome = SHARDED && "0A000".equals(state) ? "refused 0A000"
                : "FAIL " + state + " " + String.valueOf(error).replaceAll("\\s+", " ") + " (lines" + lines + ")";
        }
        System.out.println(name + " " + outcome);
    }

    public static void main(String[] arguments) {
        System.out.println("driver pgjdbc " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        say("simple", Matrix::simple);
        say("extended", Matrix::extended);
        say("prepared", Matrix::prepared);
        say("binary", Matrix::binary);
        say("nulls", Matrix::nulls);
        say("arrays", Matrix::arrays);
        say("numeric", Matrix::numeric);
        say("timestamptz", Matrix::timestamptz);
        say("bytea", Matrix::bytea);
        say("json", Matrix::json);
        say("errors", Matrix::errors);
        say("notices", Matrix::notices);
        say("transactions", Matrix::transactions);
        say("savepoints", Matrix::savepoints);
        say("isolation", Matrix::isolation);
        say("batch", Matrix::batch);
        say("batch_error", Matrix::batchError);
        say("fetch_size", Matrix::fetchSize);
        say("server_cursor", Matrix::serverCursor);
        say("hold_cursor", Matrix::holdCursor);
        say("copy_in", Matrix::copyIn);
        say("copy_out", Matrix::copyOut);
        say("copy_fail", Matrix::copyFail);
        say("listen", Matrix::listen);
        say("cancel", Matrix::cancel);
        say("timeout", Matrix::timeout);
        say("set_reset", Matrix::setReset);
        say("large_row", Matrix::largeRow);
        say("many_rows", Matrix::manyRows);
        say("pool", Matrix::pool);
        say("ddl", Matrix::ddl);
        say("returning", Matrix::returning);
        say("two_phase", Matrix::twoPhase);
        say("describe", Matrix::describe);
    }
}
