// The features of the driver matrix with pgx, in every query mode where the mode changes what is sent.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

const byKey = "SELECT name FROM accounts WHERE account_id = $1"

var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

// conn is one connection; what fails ends the feature by a panic.
type conn struct{ *pgx.Conn }

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(seen, wanted any) {
	if !reflect.DeepEqual(seen, wanted) {
		panic(fmt.Errorf("%.200v instead of %.200v", seen, wanted))
	}
}

func raises(state string, err error) {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		panic(fmt.Errorf("no error %s: %v", state, err))
	}
	if refused.Code != state {
		panic(err)
	}
}

func within() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), 60*time.Second)
	return ctx
}

func connect(mode pgx.QueryExecMode, options string) conn {
	config, err := pgx.ParseConfig(options)
	check(err)
	config.DefaultQueryExecMode = mode
	c, err := pgx.ConnectConfig(within(), config)
	check(err)
	return conn{c}
}

func (c conn) close() { c.Close(within()) }

func (c conn) exec(sql string, values ...any) int64 {
	tag, err := c.Exec(within(), sql, values...)
	check(err)
	return tag.RowsAffected()
}

func (c conn) fails(state, sql string, values ...any) {
	_, err := c.Exec(within(), sql, values...)
	raises(state, err)
}

func column[T any](c conn, sql string, values ...any) []T {
	rows, err := c.Query(within(), sql, values...)
	check(err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	check(err)
	return all
}

func one[T any](c conn, sql string, values ...any) T {
	all := column[T](c, sql, values...)
	expect(len(all), 1)
	return all[0]
}

// each runs work on a connection of each mode.
func each(work func(c conn, mode pgx.QueryExecMode)) {
	for _, mode := range modes {
		c := connect(mode, "")
		work(c, mode)
		c.close()
	}
}

var next int64 = 1000

// value writes and reads a value in each mode.
func value[T any](name string, wanted T) {
	each(func(c conn, _ pgx.QueryExecMode) {
		for turn := 0; turn < 2; turn++ {
			next++
			c.exec("INSERT INTO accounts (account_id, "+name+") VALUES ($1, $2)", next, wanted)
			expect(one[T](c, "SELECT "+name+" FROM accounts WHERE account_id = $1", next), wanted)
		}
	})
}

func simple() {
	c := connect(pgx.QueryExecModeSimpleProtocol, "")
	defer c.close()
	results, err := c.PgConn().Exec(within(), "SELECT 1; UPDATE accounts SET balance = 1 WHERE account_id = 3; SELECT 2").ReadAll()
	check(err)
	expect(len(results), 3)
	expect(results[1].CommandTag.String(), "UPDATE 1")
	expect(c.exec(""), int64(0))
}

func extended() {
	each(func(c conn, _ pgx.QueryExecMode) {
		expect(one[string](c, byKey, int64(7)), "name 7")
		expect(one[int64](c, "SELECT count(*) FROM accounts WHERE account_id = ANY($1)", []int64{1, 2, 3}), int64(3))
	})
}

func prepared() {
	each(func(c conn, _ pgx.QueryExecMode) {
		for key := int64(1); key <= 30; key++ {
			expect(one[string](c, byKey, key), fmt.Sprintf("name %d", key))
			tx, err := c.Begin(within())
			check(err)
			_, err = tx.Exec(within(), "UPDATE accounts SET balance = balance + $1 WHERE account_id = $2", 1, key)
			check(err)
			check(tx.Commit(within()))
		}
	})
	c := connect(pgx.QueryExecModeCacheStatement, "statement_cache_capacity=5")
	defer c.close()
	for key := int64(1); key <= 30; key++ {
		expect(one[string](c, fmt.Sprintf("%s AND %d > 0", byKey, key), key), fmt.Sprintf("name %d", key))
	}
	_, err := c.Prepare(within(), "mine", byKey)
	check(err)
	expect(one[string](c, "mine", int64(4)), "name 4")
	check(c.Deallocate(within(), "mine"))
}

func binary() {
	c := connect(pgx.QueryExecModeCacheStatement, "")
	defer c.close()
	var number float64
	var small int16
	row := c.QueryRow(within(), "SELECT $1::float8, $2::int2", 0.1, int16(-3))
	check(row.Scan(&number, &small))
	expect([]any{number, small}, []any{0.1, int16(-3)})
	expect(len(column[int64](c, "SELECT event_id FROM events WHERE event_id <= $1 ORDER BY event_id", 20)), 20)
}

func nulls() {
	value[*string]("name", nil)
	c := connect(modes[0], "")
	defer c.close()
	expect(len(column[string](c, byKey, nil)), 0)
}

func arrays() {
	value("tags", []string{"a", "b\"c", "d,e", "{f}", "\\", "NULL"})
	value("numbers", []int32{1, -2, 2147483647})
}

func numeric() {
	each(func(c conn, _ pgx.QueryExecMode) {
		next++
		var wanted pgtype.Numeric
		check(wanted.Scan("-9999999999.99"))
		c.exec("INSERT INTO accounts (account_id, balance) VALUES ($1, $2)", next, wanted)
		expect(one[pgtype.Numeric](c, "SELECT balance FROM accounts WHERE account_id = $1", next), wanted)
	})
}

func timestamptz() {
	wanted := time.Date(2026, 2, 28, 23, 59, 59, 999999000, time.UTC)
	each(func(c conn, _ pgx.QueryExecMode) {
		next++
		c.exec("INSERT INTO accounts (account_id, opened) VALUES ($1, $2)", next, wanted)
		expect(one[time.Time](c, "SELECT opened FROM accounts WHERE account_id = $1", next).Equal(wanted), true)
	})
}

func bytea() { value("payload", bytes.Repeat([]byte{0, 1, 255}, 30_000)) }

func json() {
	value("doc", `{"a": [1, null, "ü"]}`)
}

func failures() {
	each(func(c conn, _ pgx.QueryExecMode) {
		c.fails("23505", "INSERT INTO accounts (account_id) VALUES ($1)", int64(1))
		c.fails("42P01", "SELECT * FROM missing")
		c.fails("42601", "SELEC 1")
		c.fails("22012", "SELECT 1 / $1::int", 0)
		tx, err := c.Begin(within())
		check(err)
		_, err = tx.Exec(within(), "SELECT 1 / 0")
		raises("22012", err)
		_, err = tx.Exec(within(), "SELECT 1")
		raises("25P02", err)
		check(tx.Rollback(within()))
		expect(one[string](c, byKey, int64(1)), "name 1")
	})
}

func notices() {
	config, err := pgx.ParseConfig("")
	check(err)
	seen := ""
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { seen += notice.Message }
	c, err := pgx.ConnectConfig(within(), config)
	check(err)
	defer c.Close(within())
	_, err = c.Exec(within(), "DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
	check(err)
	expect(seen, "hello")
}

func transactions() {
	each(func(c conn, mode pgx.QueryExecMode) {
		other := connect(mode, "")
		defer other.close()
		insert := "INSERT INTO accounts (account_id, name) VALUES ($1, 'new'), ($2, 'new'), ($3, 'new')"
		check(pgx.BeginFunc(within(), c.Conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(within(), insert, int64(2001), int64(2002), int64(2003))
			expect(len(column[string](other, byKey, int64(2001))), 0)
			return err
		}))
		expect(one[string](other, byKey, int64(2003)), "new")
		tx, err := c.Begin(within())
		check(err)
		_, err = tx.Exec(within(), "DELETE FROM accounts WHERE account_id IN ($1, $2)", int64(2001), int64(2002))
		check(err)
		check(tx.Rollback(within()))
		expect(c.exec("DELETE FROM accounts WHERE account_id IN ($1, $2, $3)", int64(2001), int64(2002), int64(2003)), int64(3))
	})
}

func savepoints() {
	each(func(c conn, _ pgx.QueryExecMode) {
		tx, err := c.Begin(within())
		check(err)
		_, err = tx.Exec(within(), "INSERT INTO accounts (account_id, name) VALUES ($1, 'kept')", int64(2101))
		check(err)
		inner, err := tx.Begin(within())
		check(err)
		_, err = inner.Exec(within(), "INSERT INTO accounts (account_id, name) VALUES ($1, 'undone')", int64(2102))
		check(err)
		_, err = inner.Exec(within(), "INSERT INTO accounts (account_id) VALUES ($1)", int64(2101))
		raises("23505", err)
		check(inner.Rollback(within()))
		check(tx.Commit(within()))
		expect(column[int64](c, "SELECT account_id FROM accounts WHERE account_id IN (2101, 2102)"), []int64{2101})
		c.exec("DELETE FROM accounts WHERE account_id = 2101")
	})
}

func isolation() {
	c, other := connect(modes[0], ""), connect(modes[0], "")
	defer c.close()
	defer other.close()
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		tx, err := c.BeginTx(within(), pgx.TxOptions{IsoLevel: level})
		check(err)
		before := one[string](c, byKey, int64(61))
		other.exec("UPDATE accounts SET name = $1 WHERE account_id = 61", string(level))
		expect(one[string](c, byKey, int64(61)) == before, level != pgx.ReadCommitted)
		check(tx.Commit(within()))
	}
}

func batch() {
	each(func(c conn, _ pgx.QueryExecMode) {
		all := &pgx.Batch{}
		for key := int64(1); key <= 50; key++ {
			all.Queue(byKey, key)
		}
		all.Queue("UPDATE accounts SET balance = $1 WHERE account_id = $2", 5, int64(9))
		results := c.SendBatch(within(), all)
		for key := 1; key <= 50; key++ {
			var name string
			check(results.QueryRow().Scan(&name))
			expect(name, fmt.Sprintf("name %d", key))
		}
		tag, err := results.Exec()
		check(err)
		expect(tag.RowsAffected(), int64(1))
		check(results.Close())
	})
	// pgconn's pipeline, with a Sync in the middle.
	c := connect(modes[0], "")
	defer c.close()
	pipe := c.PgConn().StartPipeline(within())
	pipe.SendQueryParams(byKey, [][]byte{[]byte("1")}, nil, nil, nil)
	check(pipe.Sync())
	pipe.SendQueryParams(byKey, [][]byte{[]byte("2")}, nil, nil, nil)
	check(pipe.Sync())
	var seen []string
	for len(seen) < 4 {
		result, err := pipe.GetResults()
		check(err)
		switch result := result.(type) {
		case *pgconn.ResultReader:
			seen = append(seen, string(result.Read().Rows[0][0]))
		case *pgconn.PipelineSync:
			seen = append(seen, "sync")
		}
	}
	check(pipe.Close())
	expect(seen, []string{"name 1", "sync", "name 2", "sync"})
}

func batchError() {
	each(func(c conn, _ pgx.QueryExecMode) {
		all := &pgx.Batch{}
		for _, key := range []int64{2601, 2602, 1, 2603} {
			all.Queue("INSERT INTO accounts (account_id, name) VALUES ($1, 'half')", key)
		}
		raises("23505", c.SendBatch(within(), all).Close())
		expect(len(column[int64](c, "SELECT account_id FROM accounts WHERE name = 'half'")), 0)
	})
}

func serverCursor() {
	c := connect(modes[0], "")
	defer c.close()
	check(pgx.BeginFunc(within(), c.Conn, func(pgx.Tx) error {
		c.exec("DECLARE walk CURSOR FOR SELECT entry_id FROM entries WHERE account_id = 5 ORDER BY 1")
		expect(column[int64](c, "FETCH 3 FROM walk"), []int64{1, 2, 3})
		c.exec("MOVE 10 FROM walk")
		expect(column[int64](c, "FETCH walk"), []int64{14})
		return nil
	}))
}

func copyIn() {
	c := connect(modes[0], "")
	defer c.close()
	rows := make([][]any, 500)
	for at := range rows {
		rows[at] = []any{int64(3000 + at), "x"}
	}
	regions := [][]any{{int32(1), "north"}, {int32(2), nil}}
	count, err := c.CopyFrom(within(), pgx.Identifier{"regions"}, []string{"region_id", "name"}, pgx.CopyFromRows(regions))
	check(err)
	expect(count, int64(2))
	tag, err := c.PgConn().CopyFrom(within(), strings.NewReader("2990\tx\n2991\ty\n"), "COPY accounts (account_id, name) FROM STDIN")
	check(err)
	expect(tag.RowsAffected(), int64(2))
	// Always in binary.
	count, err = c.CopyFrom(within(), pgx.Identifier{"accounts"}, []string{"account_id", "name"}, pgx.CopyFromRows(rows))
	check(err)
	expect(count, int64(500))
}

func copyOut() {
	c := connect(modes[0], "")
	defer c.close()
	var out bytes.Buffer
	_, err := c.PgConn().CopyTo(within(), &out, "COPY (SELECT n, 'x' FROM generate_series(1, 3) n) TO STDOUT")
	check(err)
	expect(out.String(), "1\tx\n2\tx\n3\tx\n")
	tag, err := c.PgConn().CopyTo(within(), &out, "COPY events TO STDOUT")
	check(err)
	expect(tag.RowsAffected(), int64(10_000))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("given up") }

func copyFail() {
	c := connect(modes[0], "")
	defer c.close()
	sql := "COPY accounts (account_id, name) FROM STDIN"
	_, err := c.PgConn().CopyFrom(within(), strings.NewReader("3601\tnever\n1\ttwice\n"), sql)
	raises("23505", err)
	_, err = c.PgConn().CopyFrom(within(), broken{}, sql)
	expect(err != nil, true)
	if c.IsClosed() {
		c = connect(modes[0], "")
	}
	expect(len(column[string](c, "SELECT name FROM accounts WHERE name = 'never'")), 0)
}

func listen() {
	c, other := connect(modes[0], ""), connect(modes[0], "")
	defer c.close()
	defer other.close()
	c.exec("LISTEN news")
	other.exec("SELECT pg_notify('news', $1)", "first")
	heard, err := c.WaitForNotification(within())
	check(err)
	expect(heard.Payload, "first")
}

func cancel() {
	c := connect(modes[0], "")
	defer c.close()
	done := make(chan struct{})
	var cancelling sync.WaitGroup
	cancelling.Add(1)
	go func() {
		defer cancelling.Done()
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				c.PgConn().CancelRequest(within())
			}
		}
	}()
	_, err := c.Exec(within(), "SELECT pg_sleep(30)")
	close(done)
	cancelling.Wait()
	raises("57014", err)
	expect(one[string](c, byKey, int64(1)), "name 1")
}

func timeout() {
	c := connect(modes[0], "statement_timeout=100")
	defer c.close()
	c.fails("57014", "SELECT pg_sleep(30)")
	c.exec("SET statement_timeout = 0")
	c.exec("SELECT pg_sleep(0.2)")
}

func setReset() {
	c := connect(modes[0], "work_mem=5MB application_name=matrix")
	defer c.close()
	expect(one[string](c, "SHOW work_mem"), "5MB")
	expect(one[string](c, "SHOW application_name"), "matrix")
	c.exec("SET work_mem = '6MB'")
	for turn := 0; turn < 5; turn++ {
		expect(one[string](c, "SHOW work_mem"), "6MB")
	}
	c.exec("RESET work_mem")
	expect(one[string](c, "SHOW work_mem"), "5MB")
	c.exec("SET TIME ZONE 'Asia/Kolkata'")
	expect(c.PgConn().ParameterStatus("TimeZone"), "Asia/Kolkata")
}

func largeRow() {
	large := strings.Repeat("ü", 500_000) + "end"
	value("name", large)
}

func manyRows() {
	each(func(c conn, _ pgx.QueryExecMode) {
		keys := column[int64](c, "SELECT event_id FROM events ORDER BY event_id")
		expect([]int64{int64(len(keys)), keys[9_999]}, []int64{10_000, 10_000})
	})
}

func pool() {
	config, err := pgxpool.ParseConfig("pool_max_conns=4")
	check(err)
	all, err := pgxpool.NewWithConfig(within(), config)
	check(err)
	defer all.Close()
	var working sync.WaitGroup
	failed := make(chan error, 100)
	for key := int64(1); key <= 100; key++ {
		working.Add(1)
		go func() {
			defer working.Done()
			var seen int64
			err := all.QueryRow(within(), "SELECT account_id FROM accounts WHERE account_id = $1", key).Scan(&seen)
			if err == nil && seen != key {
				err = fmt.Errorf("%d instead of %d", seen, key)
			}
			if err != nil {
				failed <- err
			}
		}()
	}
	working.Wait()
	close(failed)
	check(<-failed)
}

// changing alters the table behind a prepared statement's back. As with PostgreSQL itself, pgx may hand the first error
// after that to its caller, and prepares again.
func changing(columns string, may bool) {
	each(func(c conn, mode pgx.QueryExecMode) {
		if may && mode == pgx.QueryExecModeCacheDescribe {
			// It keeps descriptions and prepares anew: nobody can tell it.
			return
		}
		other := connect(modes[0], "")
		defer other.close()
		defer other.exec("ALTER TABLE shapes DROP COLUMN IF EXISTS sides")
		read := func() error {
			rows, err := c.Query(within(), "SELECT "+columns+" FROM shapes WHERE shape_id = $1", int64(1))
			if err != nil {
				return err
			}
			all, err := pgx.CollectRows(rows, pgx.RowToMap)
			if err == nil {
				expect(all[0]["name"], "square")
			}
			return err
		}
		check(read())
		check(read())
		for _, sql := range []string{"ADD COLUMN sides int DEFAULT 4", "DROP COLUMN sides"} {
			other.exec("ALTER TABLE shapes " + sql)
			if err := read(); err != nil {
				if !may {
					panic(err)
				}
				raises("0A000", err)
				check(read())
			}
		}
	})
}

func ddl() {
	c := connect(modes[0], "")
	defer c.close()
	c.exec("INSERT INTO shapes (shape_id, name) VALUES (1, 'square')")
	changing("name", false)
}

func ddlColumns() { changing("*", true) }

func returning() {
	each(func(c conn, _ pgx.QueryExecMode) {
		insert := "INSERT INTO entries (account_id, note) VALUES ($1, $2) RETURNING entry_id"
		first, second := one[int64](c, insert, int64(6), "a"), one[int64](c, insert, int64(6), "b")
		expect(second > first, true)
		many := column[string](c, "INSERT INTO entries (account_id, note) VALUES ($1, 'x'), ($2, 'y') RETURNING note", int64(1), int64(2))
		expect(many, []string{"x", "y"})
	})
}

func outcome(work func()) (said string) {
	defer func() {
		failure := recover()
		if failure == nil {
			said = "ok"
			return
		}
		err, _ := failure.(error)
		var refused *pgconn.PgError
		if os.Getenv("SIDE") == "sharded" && errors.As(err, &refused) && refused.Code == "0A000" {
			said = "refused 0A000"
			return
		}
		said = "FAIL " + strings.Join(strings.Fields(fmt.Sprint(failure)), " ")
	}()
	work()
	return
}

func main() {
	fmt.Println("driver pgx 5.7.6")
	for _, feature := range []struct {
		name string
		work func()
	}{
		{"simple", simple}, {"extended", extended}, {"prepared", prepared}, {"binary", binary}, {"nulls", nulls},
		{"arrays", arrays}, {"numeric", numeric}, {"timestamptz", timestamptz}, {"bytea", bytea}, {"json", json},
		{"errors", failures}, {"notices", notices}, {"transactions", transactions}, {"savepoints", savepoints},
		{"isolation", isolation}, {"batch", batch}, {"batch_error", batchError}, {"server_cursor", serverCursor},
		{"copy_in", copyIn}, {"copy_out", copyOut}, {"copy_fail", copyFail}, {"listen", listen}, {"cancel", cancel},
		{"timeout", timeout}, {"set_reset", setReset}, {"large_row", largeRow}, {"many_rows", manyRows}, {"pool", pool},
		{"ddl", ddl}, {"ddl_columns", ddlColumns}, {"returning", returning},
	} {
		fmt.Println(feature.name, outcome(feature.work))
	}
}
