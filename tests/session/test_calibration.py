from __future__ import annotations

import wsdb


def test_a_model_of_rare_positives_is_as_sure_as_the_labels_of_the_task() -> None:
    db = wsdb.connect()
    db.execute(
        "CREATE TABLE orders AS SELECT range AS id, (hash(range) % 10000) / 100 AS amount, "
        "CASE WHEN hash(range + 3) % 50 = 0 THEN 'chargeback dispute' ELSE 'ordinary purchase' END || "
        "' of item ' || hash(range + 5) % 90 AS memo FROM range(6000)"
    )
    db.execute(
        "CREATE TASK fraud ON orders KEY (id) TYPE BINARY ('ok', 'fraud');"
        "CREATE LF dispute FOR TASK fraud VOTE 'fraud' WHEN memo LIKE '%dispute%' AND amount > 10;"
        "CREATE LF ordinary FOR TASK fraud VOTE 'ok' WHEN memo LIKE '%ordinary%';"
        "CREATE LF dear FOR TASK fraud VOTE 'fraud' WHEN amount > 99.5;"
        "CREATE MODEL m FOR TASK fraud FROM orders FEATURES (memo, amount)"
    )
    labels, learned, said = db.execute(
        "SELECT (SELECT avg(probs['fraud']) FROM labels('fraud') WHERE covered), "
        "(SELECT avg(probs[2]) FROM wsdb.training_fraud WHERE covered), "
        "(SELECT avg(predicted_fraud_probs['fraud']) FROM predict('m', orders))"
    ).fetchall()[0]
    assert learned > labels + 0.03  # what is learned is at a uniform class balance
    assert abs(said - labels) < 0.02
